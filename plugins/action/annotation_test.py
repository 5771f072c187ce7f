# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows what M(ousamg.anno.annotation_test) waits for."""

from __future__ import annotations

from ansible_collections.ousamg.anno.plugins.plugin_utils.progress_action import ProgressAction


class ActionModule(ProgressAction):
    """The module of the same name, with its progress on the terminal."""
