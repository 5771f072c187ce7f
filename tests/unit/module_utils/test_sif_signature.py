"""An image that Apptainer has signed, whole, with single bytes changed, and with signatures of other forms."""

from __future__ import annotations

import base64
import json
import os
import struct
from pathlib import Path

import pytest
from ansible_collections.ousamg.anno.plugins.module_utils.sif import SifError, SifInfo, inspect_sif
from ansible_collections.ousamg.anno.plugins.module_utils.sif_signature import (
    check_digests,
    signatures_of,
    summary,
)
from support_sif import patch

IMAGES = Path(__file__).resolve().parents[2] / "fixtures/images"
SIGNED = IMAGES / "signed/anno-v3.2.0.sif"
# Fingerprint of the key, as `apptainer verify` prints it.
ENTITY = "86143EEFB640E6F10531E5FAD3E162BC12058AE0"

HEADER = 128
TABLE, ENTRY = 4096, 585
LAUNCH, UUID, MODIFIED = 0, 48, 72
GROUP, LINK, OFFSET, SIZE, PADDED, CREATED, MODIFIED_AT, NAME, EXTRA = 9, 13, 17, 25, 33, 41, 49, 73, 201
SIGNATURE = TABLE + 3 * ENTRY
SIGNATURE_AT = 40960


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "anno.sif"
    path.write_bytes(SIGNED.read_bytes())
    return path


def flip(path: Path, offset: int) -> None:
    patch(path, offset, bytes([path.read_bytes()[offset] ^ 4]))


def replace_signature(path: Path, content: bytes) -> SifInfo:
    os.truncate(path, SIGNATURE_AT)
    patch(path, SIGNATURE_AT, content)
    patch(path, SIGNATURE + SIZE, struct.pack("<q", len(content)))
    return inspect_sif(str(path))


def message_of(path: Path = SIGNED) -> bytes:
    """The JSON that was signed."""
    return path.read_bytes()[SIGNATURE_AT:].split(b"\n\n", 1)[1].split(b"\n-----", 1)[0]


def changed(image: Path) -> str:
    info = inspect_sif(str(image))
    assert len(signatures_of(info)) == 1  # it looks signed
    with pytest.raises(SifError) as caught:
        check_digests(info)
    assert (caught.value.path, caught.value.expected) == (str(image), "what signature 4 covers, unchanged")
    return caught.value.found


def test_a_signed_image_is_described_and_its_digests_match() -> None:
    info = inspect_sif(str(SIGNED))
    (signature,) = signatures_of(info)
    assert signature == (4, ENTITY, "PGP", (1, 2, 3), None)
    assert check_digests(info) == (signature,)
    assert summary(info, [signature]) == {
        "state": "signed",
        "signatures": [{"id": 4, "entity": ENTITY, "form": "PGP", "covers": (1, 2, 3), "unread": None}],
        "uncovered": [],
    }


def test_an_unsigned_image_has_nothing_to_compare() -> None:
    info = inspect_sif(str(IMAGES / "anno-v3.2.0.sif"))
    assert signatures_of(info) == check_digests(info) == ()
    assert summary(info, ()) == {"state": "unsigned", "signatures": [], "uncovered": [1, 2, 3]}


@pytest.mark.parametrize("offset", [LAUNCH + 20, UUID])
def test_a_changed_header_is_found(image: Path, offset: int) -> None:
    flip(image, offset)
    assert changed(image) == "its header is not the one that was signed"


@pytest.mark.parametrize("field", [CREATED, NAME, EXTRA + 200])
def test_a_changed_descriptor_is_found(image: Path, field: int) -> None:
    flip(image, TABLE + 2 * ENTRY + field)
    assert changed(image) == "the descriptor of data object 3 (FS) is not the one that was signed"


@pytest.mark.parametrize(
    ("offset", "item"), [(32176, "1 (Def.FILE)"), (33000, "2 (JSON.Generic)"), (37064, "3 (FS)"), (40959, "3 (FS)")]
)
def test_a_changed_byte_of_the_data_is_found(image: Path, offset: int, item: str) -> None:
    flip(image, offset)
    assert changed(image) == f"data object {item} is not what was signed"


def test_every_bit_that_was_signed_counts(image: Path) -> None:
    """Every 97th byte from the header to the end of the data, but for what lies between."""
    whole = image.read_bytes()
    unsigned = [(GROUP, LINK), (OFFSET, SIZE), (PADDED, CREATED), (MODIFIED_AT, MODIFIED_AT + 8)]
    between = {
        *range(42 + 3, UUID),
        *range(UUID + 16, TABLE),
        *(TABLE + n * ENTRY + at for n in range(3) for start, end in unsigned for at in range(start, end)),
        *range(SIGNATURE, 32176),
        *range(34396, 36864),
    }
    for at in [*range(0, HEADER), *range(TABLE, SIGNATURE_AT, 97)]:
        if at not in between:
            image.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
            with pytest.raises(SifError):
                check_digests(inspect_sif(str(image)))


def test_what_nobody_signs_is_not_compared(image: Path) -> None:
    # The time of change, the padding, what lies between the data.
    for offset in (MODIFIED, TABLE + MODIFIED_AT, TABLE + PADDED, 35000):
        flip(image, offset)
    assert len(check_digests(inspect_sif(str(image)))) == 1


def test_data_may_have_moved(image: Path) -> None:
    """As when an object was added or removed: where data lie is not signed."""
    whole = image.read_bytes()
    patch(image, 35000, whole[32176:32211])
    patch(image, TABLE + OFFSET, struct.pack("<q", 35000))
    assert len(check_digests(inspect_sif(str(image)))) == 1


def test_an_object_that_is_gone_is_found(image: Path) -> None:
    patch(image, TABLE + ENTRY + 4, b"\0")
    patch(image, 80, struct.pack("<q", 45))
    assert changed(image) == "data object 2, which was signed, is not there"


def test_a_changed_digest_in_the_signature_is_found(image: Path) -> None:
    at = image.read_bytes().index(b"objectDigest", SIGNATURE_AT) + len('objectDigest":"sha256:')
    patch(image, at, b"0" * 8)
    assert changed(image) == "data object 1 (Def.FILE) is not what was signed"


def test_objects_without_a_signature_are_told(image: Path) -> None:
    parsed = json.loads(message_of())
    del parsed["objects"][1]
    content = image.read_bytes()[SIGNATURE_AT:].replace(message_of(), json.dumps(parsed).encode())
    info = replace_signature(image, content)
    assert summary(info, check_digests(info))["uncovered"] == [2]


def envelope(message: bytes, kind: str = "application/vnd.sylabs.sif-metadata+json") -> bytes:
    return json.dumps({"payloadType": kind, "payload": base64.b64encode(message).decode(), "signatures": []}).encode()


def test_a_dsse_envelope_is_read_like_any_other(image: Path) -> None:
    patch(image, SIGNATURE + EXTRA + 4, bytes(20))
    info = replace_signature(image, envelope(message_of()))
    assert check_digests(info) == ((4, None, "DSSE", (1, 2, 3), None),)
    flip(image, 37000)
    assert changed(image) == "data object 3 (FS) is not what was signed"


def clear_signed(message: bytes) -> bytes:
    start = b"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n"
    return start + message + b"\n-----BEGIN PGP SIGNATURE-----\n\nwsGp\n-----END PGP SIGNATURE-----"


def with_digest(text: object) -> bytes:
    return json.dumps({"version": 1, "header": {"digest": text}, "objects": []}).encode()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "neither a clear-signed OpenPGP message nor a DSSE envelope"),
        (b"\xff\xfe\x00garbage", "neither"),
        (b"[" * 100_000, "neither"),
        (envelope(b"{}", "text/plain"), "neither"),
        (b'{"payloadType": 1}', "neither"),
        (clear_signed(b"{}")[:60], "its OpenPGP message is not complete"),
        (clear_signed(b"SIFHASH:\n2f0b3dca"), "given up with Singularity 3.6"),
        (clear_signed(b'{"version": 2}'), "is of version 2, not 1"),
        (clear_signed(b"{}"), "not what a signature of an image says"),
        (clear_signed(b"[1]"), "not what"),
        (clear_signed(b"[" * 100_000), "not what"),
        (clear_signed(b"\xff"), "not what"),
        (clear_signed(with_digest(5)), "not what"),
        (clear_signed(with_digest("md5:00")), "not what"),
        (clear_signed(with_digest("sha256:00").replace(b"[]", b'[{"relativeId": "x"}]')), "not what"),
        (clear_signed(with_digest("sha256:00").replace(b"[]", b"7")), "not what"),
    ],
)
def test_a_signature_that_cannot_be_read_is_told_and_covers_nothing(image: Path, content: bytes, reason: str) -> None:
    info = replace_signature(image, content)
    (signature,) = check_digests(info)
    assert reason in str(signature.unread)
    found = summary(info, [signature])
    assert (found["state"], found["uncovered"], signature.entity) == ("unread", [1, 2, 3], ENTITY)


def test_a_signature_of_no_group_is_told(image: Path) -> None:
    patch(image, SIGNATURE + LINK, struct.pack("<I", 3))
    assert signatures_of(inspect_sif(str(image)))[0].unread == "it is linked to 3, not to a group that is there"


def test_a_huge_signature_is_not_read(image: Path) -> None:
    assert "it has 2000000 bytes" in str(signatures_of(replace_signature(image, bytes(2_000_000)))[0].unread)


def test_an_image_that_is_cut_while_it_is_read_is_told(image: Path) -> None:
    info = inspect_sif(str(image))
    os.truncate(image, 40000)
    with pytest.raises(SifError):
        check_digests(info)
