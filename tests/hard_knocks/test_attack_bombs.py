"""Files that are small on disk and without end once unpacked, and archives that point out of their folder.

Each is read in a process of its own, whose largest size is told by the kernel afterwards.
"""

from __future__ import annotations

import gzip
import io
import json
import resource
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CPU_SECONDS = 300
MEGABYTES = 1_000

READ = """
import resource, sys
from pathlib import Path
{imports}
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
path = Path(sys.argv[1])
try:
    {work}
    said = "read"
except {error} as error:
    said = "refused: " + str(error)
grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
print(grown, said)
"""
ROWS = {
    "imports": "from features.rows import ReadError, read_rows",
    "work": "count = sum(1 for _ in read_rows(path))",
    "error": "ReadError",
}
RESULTS = {
    "imports": "from serving.labs.files import FileError, read_table\n"
    "import openpyxl, defusedxml.ElementTree  # their own size is not the bomb's",
    "work": "read_table(path.name, path.read_bytes(), frozenset({'sampleid', 'analyte'}))",
    "error": "FileError",
}


def limited() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))


def read(path: Path, how: dict[str, str]) -> str:
    """Read a file in a process; return what was said, and fail when the process grew by a gigabyte."""
    done = subprocess.run(
        [sys.executable, "-c", READ.format(**how), str(path)],
        cwd=ROOT, capture_output=True, text=True, check=False, preexec_fn=limited,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-1_500:]
    grown, _, said = done.stdout.strip().partition(" ")
    assert int(grown) < MEGABYTES, f"{path.name} of {path.stat().st_size:,} bytes took {grown} MB; {said}"
    return said


# --- tables -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["text", "list", "struct"])
def test_a_parquet_file_of_kilobytes_does_not_become_gigabytes(tmp_path, kind):
    """One long value in the dictionary page, repeated by every row."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = 5_000
    text = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array(["a" * 1_000_000]))
    column = {
        "text": lambda: text,
        "list": lambda: pa.ListArray.from_arrays(pa.array(range(rows + 1), pa.int32()), text),
        "struct": lambda: pa.StructArray.from_arrays([text], ["name"]),
    }[kind]()
    table = pa.table({"id": [str(number) for number in range(rows)], "title": column})
    pq.write_table(table, tmp_path / "bomb.parquet", compression="zstd", store_schema=False)
    assert (tmp_path / "bomb.parquet").stat().st_size < 100_000
    assert "unpack to" in read(tmp_path / "bomb.parquet", ROWS)


def test_a_parquet_file_that_ends_a_process_which_asks_for_its_columns_is_refused_or_read(tmp_path):
    """A fuzzer's find: what such a file says of a column, pyarrow ends the process over; we do not ask."""
    sound = Path(__file__).parents[1] / "files" / "sizes_that_disagree.parquet"
    ask = (
        "import sys, pyarrow.parquet as pq\n"
        "group = pq.ParquetFile(sys.argv[1]).metadata.row_group(0)\n"
        "[group.column(at) for at in range(group.num_columns)]"
    )
    ended = subprocess.run([sys.executable, "-c", ask, str(sound)], capture_output=True, check=False)
    assert ended.returncode != 0, "pyarrow has mended it: the detour may go"
    read(sound, ROWS)


def test_a_parquet_file_whose_parts_disagree_about_its_columns_is_refused():
    """A fuzzer's find."""
    sound = Path(__file__).parents[1] / "files" / "columns_that_disagree.parquet"
    assert "not a whole Parquet file" in read(sound, ROWS)


def test_parquet_text_that_is_not_utf_8_is_refused(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    wrong = pa.array([b"\xb3\xaa\xb9\xab"]).view(pa.string())
    pq.write_table(pa.table({"id": ["1"], "title": wrong}), tmp_path / "euc.parquet")
    assert "UTF8" in read(tmp_path / "euc.parquet", ROWS)


def test_a_large_honest_parquet_file_is_read_as_before(tmp_path):
    """Also where a column had to be measured."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from features.rows import read_rows

    rows = [
        {
            "id": f"a-{n}",
            "title": f"나무 장난감 {n}" * 20,
            "tags": [f"t{n}", "same"],
            "seller": {"id": "s", "n": n},
        }
        for n in range(3_000)
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "honest.parquet")
    assert [row.values for row in read_rows(tmp_path / "honest.parquet")] == rows


@pytest.mark.parametrize("suffix", [".csv.gz", ".jsonl.gz"])
def test_a_gzip_line_without_end_is_refused_before_it_is_held(tmp_path, suffix):
    block = gzip.compress(b"a" * 10_000_000)
    path = tmp_path / f"bomb{suffix}"
    path.write_bytes(gzip.compress(b'id,title\n1,"') + block * 60)
    assert path.stat().st_size < 1_000_000
    assert "is over" in read(path, ROWS)


# --- laboratories' workbooks ------------------------------------------------------------------------------------------


def workbook(path: Path, sheet: bytes, strings: bytes = b"") -> Path:
    """Write a workbook part by part."""
    ns = b'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    rel = b'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
    kinds = b"application/vnd.openxmlformats-officedocument.spreadsheetml."
    office = b"http://schemas.openxmlformats.org/officeDocument/2006/relationships/"
    package = b'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    parts = {
        "[Content_Types].xml": b'<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        b'<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        b'<Default Extension="xml" ContentType="application/xml"/>'
        b'<Override PartName="/xl/workbook.xml" ContentType="' + kinds + b'sheet.main+xml"/>'
        b'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="' + kinds + b'worksheet+xml"/>'
        b'<Override PartName="/xl/sharedStrings.xml" ContentType="' + kinds + b'sharedStrings+xml"/></Types>',
        "_rels/.rels": package + b'<Relationship Id="r1" Type="' + office + b'officeDocument" '
        b'Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": b"<workbook " + ns + b" " + rel + b'><sheets><sheet name="a" sheetId="1" r:id="r1"/>'
        b"</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": package + b'<Relationship Id="r1" Type="' + office + b'worksheet" '
        b'Target="worksheets/sheet1.xml"/><Relationship Id="r2" Type="' + office + b'sharedStrings" '
        b'Target="sharedStrings.xml"/></Relationships>',
        "xl/worksheets/sheet1.xml": sheet.replace(b"NS", ns),
        "xl/sharedStrings.xml": strings.replace(b"NS", ns) or b"<sst " + ns + b"/>",
    }  # fmt: skip
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return path


HEAD = b'<row r="1"><c t="inlineStr"><is><t>sample_id</t></is></c><c t="inlineStr"><is><t>analyte</t></is></c></row>'
ROW = b'<row r="2"><c t="inlineStr"><is><t>s</t></is></c><c t="inlineStr"><is><t>lead</t></is></c></row>'
SHEET = b"<worksheet NS><sheetData>" + HEAD + ROW + b"</sheetData></worksheet>"
LAUGHS = (
    b'<?xml version="1.0"?><!DOCTYPE sst [<!ENTITY a0 "ha">'
    + b"".join(b'<!ENTITY a%d "%s">' % (n, b"&a%d;" % (n - 1) * 10) for n in range(1, 12))
    + b"]><sst NS><si><t>&a11;</t></si></sst>"
)
OUTSIDE = b'<!DOCTYPE sst [<!ENTITY x SYSTEM "file:///etc/passwd">]><sst NS><si><t>&x;</t></si></sst>'


def test_an_ordinary_workbook_of_these_parts_is_read(tmp_path):
    assert read(workbook(tmp_path / "a.xlsx", SHEET), RESULTS) == "read"


@pytest.mark.parametrize(
    ("sheet", "strings"),
    [
        (SHEET, LAUGHS),
        (SHEET, OUTSIDE),
        (SHEET.replace(b"<worksheet", LAUGHS.split(b"<sst")[0] + b"<worksheet"), b""),
        (SHEET, b"<sst NS>" + b"<si><t>a</t></si>" * 3_000_000 + b"</sst>"),
        (
            b"<worksheet NS><sheetData>"
            + b"<row><c><v>1</v></c></row>" * 2_000_000
            + b"</sheetData></worksheet>",
            b"",
        ),
        (b"<worksheet NS>" + b"<a>" * 200_000 + b"</worksheet>", b""),
    ],
    ids=["entities", "a file of ours", "entities in the sheet", "strings", "rows", "depth"],
)
def test_a_workbook_as_a_bomb_is_refused(tmp_path, sheet, strings):
    path = workbook(tmp_path / "bomb.xlsx", sheet, strings)
    assert path.stat().st_size < 1_000_000
    said = read(path, RESULTS)
    assert said.startswith("refused") and "root:" not in said


def test_rows_far_down_are_not_filled_in(tmp_path):
    """A row that says it is the millionth has a million empty ones before it."""
    far = (
        b"<worksheet NS><sheetData>"
        + HEAD
        + ROW.replace(b'r="2"', b'r="1048576"')
        + b"</sheetData></worksheet>"
    )
    assert read(workbook(tmp_path / "far.xlsx", far), RESULTS)


def test_an_archive_that_lies_about_its_sizes_is_refused(tmp_path):
    """The sizes in its head are what is checked; a part is never read beyond what they say."""
    path = workbook(tmp_path / "lie.xlsx", SHEET, b"<sst NS>" + b"<si><t>a</t></si>" * 400_000 + b"</sst>")
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(io.BytesIO(bytes(content))) as archive:
        size = archive.getinfo("xl/sharedStrings.xml").file_size
    lied = bytes(content).replace(size.to_bytes(4, "little"), (100).to_bytes(4, "little"))
    assert lied != bytes(content)
    path.write_bytes(lied)
    assert read(path, RESULTS).startswith("refused")


# --- bodies -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "gzip, gzip"])
def test_a_body_that_says_it_is_packed_is_refused_unread(service, coding):
    body = gzip.compress(json.dumps({"id": "a", "title": " " * 900_000}).encode())
    headers = {"Content-Type": "application/json", "Content-Encoding": coding}
    for path in ("/v1/score", "/v1/bans", "/v1/notices", "/v1/lab-results"):
        assert service.call("POST", path, content=body, headers=headers).status_code == 415, path


def test_a_workbook_as_a_bomb_is_a_problem_over_http(service, tmp_path):
    import base64

    content = base64.b64encode(workbook(tmp_path / "bomb.xlsx", SHEET, LAUGHS).read_bytes()).decode()
    body = {"laboratory": "KTR", "file_name": "bomb.xlsx", "content": content}
    assert service.call("POST", "/v1/lab-results", json=body).status_code == 422
    assert service.http.get("/livez").status_code == 200


# --- archives ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["../out.jpg", "/etc/passwd", "..\\out.jpg", "a/../../out.jpg", "C:\\out.jpg", "\0.jpg"]
)
def test_a_member_outside_its_folder_is_read_nowhere(tmp_path, name):
    """Photos in archives are named by reference; no name leads out, and nothing is ever unpacked to a disk."""
    from features.image_intake import Photo, from_reference

    inside = tmp_path / "photos"
    inside.mkdir()
    (tmp_path / "out.jpg").write_bytes(b"\xff\xd8\xff")
    with zipfile.ZipFile(inside / "a.zip", "w") as archive:
        archive.writestr(name.replace("\0", "x"), b"\xff\xd8\xff")
    before = set(tmp_path.rglob("*"))
    for reference in (name, f"a.zip/{name}", f"a.zip#{name}", f"a.zip!{name}"):
        found = from_reference(reference, folder=inside)
        assert not isinstance(found, Photo), reference
    assert set(tmp_path.rglob("*")) == before
