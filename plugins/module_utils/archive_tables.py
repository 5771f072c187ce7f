# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The annotation tables that an archive brings, before they go live: whether they would annotate what they say.

Only these: what is wrong with a package that the archive does not replace is no reason to keep the old one of others.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.ousamg.anno.plugins.module_utils.errors import AnnoError
from ansible_collections.ousamg.anno.plugins.module_utils.problems import ERROR, ordered

_SHOWN = 5


class TablesError(AnnoError):
    """The archive would annotate wrongly, or not at all."""


def check(path: str, tables: Sequence[Mapping[str, Any]], folder: str | None = None) -> list[str]:
    """Refuse tables that vcfanno refuses or does not annotate with; returns what only may be wrong, a sentence each.

    :param path: the archive, for error texts.
    :param tables: of the packages that are unpacked, from their entries in ``sources.json``.
    :param folder: where their files lie. A dry run has none: it tells what the tables alone tell.
    Raises TablesError.
    """
    if not tables:
        return []
    # Nothing but archives with tables needs them, and loading them takes a third of a run that has nothing to do.
    from ansible_collections.ousamg.anno.plugins.module_utils import annotation_file, data_validate, vcfanno_rules

    names = sorted({posixpath.normpath(table["file"]) for table in tables}) if folder is not None else []
    files = {name: annotation_file.inspect(folder, name) for name in names} if folder is not None else {}
    config = {vcfanno_rules.ANNOTATION: [dict(table) for table in tables]}
    problems = ordered(data_validate.judge_config(config, files))
    errors = [found for found in problems if found.severity == ERROR]
    if errors:
        told = "; ".join(f"{error.path}: {error.message.partition('. Expected: ')[0]}" for error in errors[:_SHOWN])
        more = f"; and {len(errors) - _SHOWN} more" if len(errors) > _SHOWN else ""
        found = f"with it vcfanno would stop, or annotate wrongly: {told}{more}"
        todo = "Make the package anew, then the archive. To have it as it is nevertheless, set validate to off."
        raise TablesError(path, found, "tables that annotate what they say", todo)
    return [found.message for found in problems]
