"""How CSV files begin and end: delimiter, names of the columns, encoding, whether one was cut off. No engine in it."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from airflow_mlops.errors import DataError, bounded
from airflow_mlops.specs.data import CsvSpec

__all__ = ["CsvHead", "as_utf8", "bad_byte", "delimiter_of", "read_head"]

_DELIMITERS = (",", ";", "\t", "|")
_BLOCK = 1 << 20
_ENDS = (b"\n", b"\r")
_MAX_HEAD = 1 << 24
_UTF8 = ("utf-8", "utf-8-sig", "ascii")
_NUMBER = r"[+-]?\d+([.,]\d+)*(e[+-]?\d+)?"
_DAY = r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([ T].*)?"
_DATA = re.compile(f"{_NUMBER}|{_DAY}|nan|true|false", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class CsvHead:
    """What a check of a file's first lines tells.

    :param delimiter: ``None``: every line is a single field, so any delimiter will do.
    """

    file: str
    delimiter: str | None
    names: tuple[str, ...]


def read_head(filesystem: Any, file: str, settings: CsvSpec) -> CsvHead:
    """Look at a UTF-8 file's first lines and its last byte.

    :raises DataError: when it has no usable header, may be delimited in two ways, or was cut off.
    """
    # What the engine never says is found here, before it reads: how the file begins, and whether its end is there.
    lines = _first_lines(filesystem, file)
    if settings.final_newline == "required":
        _require_final_newline(filesystem, file)
    delimiter = settings.delimiter or _sniffed(file, lines, settings)
    records = list(_records(lines, delimiter or ",", settings))
    names = settings.columns or ()
    if settings.header:
        names = tuple(records[0]) if records else ()
        _require_header(file, names, delimiter, settings.columns)
    _require_no_field_more(file, records, len(names))
    return CsvHead(file=file, delimiter=delimiter, names=names)


def delimiter_of(heads: Sequence[CsvHead]) -> str:
    """Return the delimiter that all files agree on.

    :raises DataError: when they do not.
    """
    # A file of one column has no delimiter, and fits with any.
    known = {head.delimiter: head for head in heads if head.delimiter}
    if len(known) > 1:
        (one, first), (other, second) = list(known.items())[:2]
        raise DataError(
            f"{first.file} is delimited by {one!r}, {second.file} by {other!r}. Nothing was read, because one of them "
            f"would be misread. Deliver them alike, or set csv.delimiter and narrow data.path."
        )
    return next(iter(known), None) or ","


def as_utf8(filesystem: Any, file: str, settings: CsvSpec, copy: Path) -> bool:
    """Write a copy in UTF-8 of a file in another encoding, block by block.

    :returns: whether a copy was needed.
    :raises DataError: when a byte is none of the encoding, or the file was cut off.
    """
    if settings.encoding in _UTF8:
        return False
    copy.parent.mkdir(parents=True, exist_ok=True)
    last = "\n"
    with copy.open("w", encoding="utf-8", newline="") as out:
        for text in _decoded(filesystem, file, settings.encoding):
            out.write(text)
            last = text[-1:] or last
    if settings.final_newline == "required" and last not in "\n\r":
        raise _cut_off(file, copy.read_bytes().count(b"\n") + 1)
    return True


def bad_byte(filesystem: Any, file: str, encoding: str) -> DataError | None:
    """Return what is wrong where a file has a byte that is none of the encoding."""
    try:
        for _ in _decoded(filesystem, file, encoding):
            pass
    except DataError as error:
        return error
    return None


def _decoded(filesystem: Any, file: str, encoding: str) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    n_read = 0
    with _open(filesystem, file) as stream:
        while True:
            block = stream.read(_BLOCK)
            # Bytes of a character that the last block cut: the error's position counts from them on.
            waiting = len(decoder.getstate()[0])
            try:
                text = decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                offset = n_read - waiting + error.start
                raise DataError(
                    f"{file}: byte {offset} ({error.object[error.start]:#04x}) is not {encoding}: {error.reason}. "
                    f"Nothing was kept. Set csv.encoding to what the file is written in, such as cp1252 or utf-16."
                ) from error
            yield text
            if not block:
                return
            n_read += len(block)


def _first_lines(filesystem: Any, file: str) -> list[str]:
    """Return the whole lines at the beginning of a file; at least one, however long it is."""
    size = 1 << 16
    while True:
        with _open(filesystem, file) as stream:
            head = stream.read(size)
        # Whole lines only, as half a line has fewer fields; where there is none yet, more is read.
        is_whole = len(head) < size
        end = len(head) if is_whole else max(head.rfind(b"\n"), head.rfind(b"\r")) + 1
        if end or size >= _MAX_HEAD:
            break
        size *= 16
    try:
        text = head[:end].decode("utf-8-sig")
    except UnicodeDecodeError:
        raise (bad_byte(filesystem, file, "utf-8") or DataError(f"{file} is not in UTF-8.")) from None
    if "\0" in text[:4]:  # valid UTF-8, but no name begins so
        raise DataError(
            f"{file} has zero bytes, as UTF-16 has them between letters. Nothing was kept. Set csv.encoding to what "
            f"the file is written in, such as utf-16-le."
        )
    return text.splitlines(keepends=True)


def _sniffed(file: str, lines: list[str], settings: CsvSpec) -> str | None:
    """Return the delimiter that parts the most fields, as many on every line if there is such a one.

    :raises DataError: when two of them do that equally well.
    """
    found = []
    for delimiter in _DELIMITERS:
        # A decimal comma is more likely than a comma between fields, where the user says that there are decimal commas.
        if delimiter in (settings.decimal, settings.thousands) and settings.decimal != ".":
            continue
        counts = [len(fields) for _, fields in zip(range(20), _records(lines, delimiter, settings), strict=False)]
        if counts and max(counts) > 1:
            # As many fields on every line is better evidence than many fields.
            is_regular = len(set(counts)) == 1
            found.append((delimiter, (is_regular, counts[0])))
    best = [delimiter for delimiter, rank in found if rank == max(rank for _, rank in found)]
    if len(best) > 1:
        raise DataError(
            f"{file}: {' and '.join(map(repr, best))} each part its lines into as many fields. Nothing was read, "
            f"because one of them would be wrong. Set csv.delimiter."
        )
    return best[0] if best else None


def _records(lines: list[str], delimiter: str, settings: CsvSpec) -> Iterator[list[str]]:
    if len(delimiter) > 1:  # the standard library's reader knows one character
        lines, delimiter = [line.replace(delimiter, "\x1f") for line in lines], "\x1f"
    reader = csv.reader(
        lines,
        delimiter=delimiter,
        quotechar=settings.quote or None,
        quoting=csv.QUOTE_MINIMAL if settings.quote else csv.QUOTE_NONE,
        skipinitialspace=settings.skip_initial_space,
    )
    try:
        yield from (fields for fields in reader if fields)
    except csv.Error:
        return  # the engine says what is wrong, and on which line


def _require_header(file: str, names: Sequence[str], delimiter: str | None, known: Sequence[str] | None) -> None:
    """Refuse a first line that is no header: of names that are known, or else of such that do not look like values."""
    # The engine's names know no case: a and A would be one column.
    folded = [name.casefold() for name in names]
    like_data = [name for name in names if known is None and _DATA.fullmatch(name.strip())]
    unknown = [name for name in names if known is not None and name not in known]
    repeated = sorted({name for name in names if folded.count(name.casefold()) > 1})
    wrong = (
        f"has names that are values: {bounded(like_data, 3)}"
        if like_data
        else "has an empty name"
        if not all(name.strip() for name in names) or not names
        else f"has a name twice: {bounded(repeated, 3)}"
        if repeated
        else f"has names that csv.columns does not list: {bounded(unknown, 3)}"
        if unknown
        else None
    )
    if wrong:
        raise DataError(
            f"{file}: the header on line 1 {wrong}. Nothing was read. If the file has no header, set "
            f"`csv.header: false` and name the columns in `csv.columns`; if these are its names, list all of them "
            f"there; otherwise fix the header."
        )
    others = [other for other in _DELIMITERS if other != delimiter and other in names[0]]
    if len(names) == 1 and others:
        raise DataError(
            f"{file}: the header on line 1 is a single name, {names[0][:80]!r}, with the delimiter {delimiter!r}. "
            f"Nothing was read. Set csv.delimiter, which may be {others[0]!r}."
        )


def _require_no_field_more(file: str, records: Sequence[Sequence[str]], n_fields: int) -> None:
    """Refuse a delimiter after the last field, which the engine would pass over; it refuses all other ragged rows."""
    for line, fields in enumerate(records, start=1):
        if len(fields) == n_fields + 1 and not fields[-1]:
            raise DataError(
                f"{file}: line {line} has {len(fields)} field(s), {n_fields} were expected: it ends with a delimiter. "
                f"Nothing was kept. Fix the lines, or name the last column too."
            )


def _require_final_newline(filesystem: Any, file: str) -> None:
    # The last byte is enough where one can jump to it; a compressed file, or one to complain about, is read through.
    if not _is_compressed(file) and _last_byte(filesystem, file) in _ENDS:
        return
    n_lines, last = 1, b""
    with _open(filesystem, file) as stream:
        for block in iter(lambda: stream.read(_BLOCK), b""):
            n_lines, last = n_lines + block.count(b"\n"), block[-1:]
    if last not in _ENDS:
        raise _cut_off(file, n_lines)


def _last_byte(filesystem: Any, file: str) -> bytes:
    with filesystem.open(file, "rb") as stream:
        size = stream.seek(0, io.SEEK_END)
        stream.seek(max(0, size - 1))
        return bytes(stream.read(1))


def _cut_off(file: str, line: int) -> DataError:
    return DataError(
        f"{file}: line {line}, the last one, has no end; that is how a file looks that was cut off. Nothing was kept. "
        f"Deliver it again, or set `csv.final_newline: optional` if the files are written so."
    )


def _open(filesystem: Any, file: str) -> BinaryIO:
    stream: BinaryIO = filesystem.open(file, "rb")
    return _Gzip(stream) if _is_compressed(file) else stream  # type: ignore[return-value]


class _Gzip(gzip.GzipFile):
    """A compressed file that closes what it reads from, and says when it ends too early."""

    def __init__(self, stream: Any) -> None:
        super().__init__(fileobj=stream)
        self._stream = stream

    def read(self, size: int | None = -1) -> bytes:
        try:
            return super().read(size)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            name = getattr(self._stream, "name", "The file")
            raise DataError(f"{name} is cut off, or no gzip file: {error}. Deliver it again.") from error

    def close(self) -> None:
        super().close()
        self._stream.close()


def _is_compressed(file: str) -> bool:
    return file.lower().endswith(".gz")
