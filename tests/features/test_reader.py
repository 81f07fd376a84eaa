"""The reader: every row is a listing or a reject, and every broken file gets a message one can act on."""

from __future__ import annotations

import gzip
import json
import re
import tracemalloc
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.reader import ColumnMap, Form, ReadError, RejectedRow, read_listings, read_rows
from features.schema import Listing

HEADER = "id,title,price,currency\n"
ROWS = HEADER + "a1,wooden train,12.90,EUR\na2,곰 인형,13000,KRW\n"


def write(tmp_path: Path, name: str, content: str | bytes) -> Path:
    path = tmp_path / name
    data = content.encode() if isinstance(content, str) else content
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


def listings(path: Path, columns: str = "", **options) -> list[Listing | RejectedRow]:
    return list(read_listings(path, ColumnMap.parse(columns) if columns else None, **options))


@pytest.mark.parametrize("name", ["x.csv", "x.csv.gz", "x.tsv", "x.jsonl", "x.jsonl.gz", "x.parquet"])
def test_the_same_rows_from_every_format(tmp_path, name):
    records = [
        {"id": "a1", "title": "wooden train", "price": 12.9, "currency": "EUR"},
        {"id": "a2", "title": "곰 인형", "price": 13000.0, "currency": "KRW"},
    ]
    if name == "x.parquet":
        path = tmp_path / name
        pq.write_table(pa.Table.from_pylist(records), path)
    elif "jsonl" in name:
        path = write(tmp_path, name, "\n".join(json.dumps(r, ensure_ascii=False) for r in records))
    else:
        path = write(tmp_path, name, ROWS.replace(",", "\t") if "tsv" in name else ROWS)
    assert [r.model_dump(exclude_defaults=True) for r in listings(path)] == records


def test_mapping_with_paths_constants_alternatives_and_patterns(tmp_path):
    row = {
        "link": "https://shop.example/item/778899.html",
        "names": {"ko": "", "en": "soft ball set"},
        "shop": {"id": 17, "label": "Example Store"},
        "cost": "13,530원",
        "pics": "['https://img.example/1.jpg', 'https://img.example/2.jpg']",
        "top": "Toys",
        "leaf": "Balls",
        "sold": "판매 1,234개",
        "color": "red",
    }
    path = write(tmp_path, "x.jsonl", json.dumps(row))
    (listing,) = listings(
        path,
        r"title=names.ko|names.en,id=link~item/(\d+),seller.id=shop.id,seller.name=shop.label,price=cost,"
        r"images=pics,category=top+leaf,units_sold=sold,attributes.colour=color,market='KR'",
        defaults={"marketplace": "example"},
    )
    assert listing.model_dump(exclude_defaults=True) == {
        "id": "778899",
        "title": "soft ball set",
        "seller": {"id": "17", "name": "Example Store"},
        "price": 13530.0,
        "currency": "KRW",
        "images": ["https://img.example/1.jpg", "https://img.example/2.jpg"],
        "category": ["Toys", "Balls"],
        "units_sold": 1234,
        "attributes": {"colour": "red"},
        "marketplace": "example",
    }


def test_variants_from_a_list_of_options(tmp_path):
    options = [
        {"name": "색상:흰색", "price": 9900, "quantity": 3},
        {"name": "색상:검정", "price": "10,900원"},
    ]
    path = write(
        tmp_path, "x.jsonl", json.dumps({"name": "셔츠", "addr": "/item/55.html", "option": options})
    )
    (listing,) = listings(path, "@aliexpress_kr")
    assert listing.id == "55"
    assert [(v.name, v.price) for v in listing.variants] == [("색상:흰색", 9900.0), ("색상:검정", 10900.0)]


def test_row_without_an_id_gets_the_same_one_in_every_run(tmp_path):
    path = write(tmp_path, "x.csv", "name,cost\nkite,5\nboat,5\n")
    first, again = listings(path, "title=name,price=cost"), listings(path, "title=name,price=cost")
    assert [r.id for r in first] == [r.id for r in again]
    assert len({r.id for r in first}) == 2
    reader = read_listings(path, ColumnMap.parse("title=name"))
    list(reader)
    assert "2 without an id" in reader.counts.summary()


def test_rejects_keep_line_reasons_and_row(tmp_path):
    path = write(tmp_path, "x.csv", HEADER + "a1,,-3,EURO\na2,fine,1,EUR\na3,short row\n")
    bad, good, short = listings(path)
    assert isinstance(good, Listing)
    assert bad.line == 2
    assert {r.field for r in bad.reasons} == {"title", "price", "currency"}
    assert bad.raw["id"] == "a1"
    assert "2 cells, expected 4" in short.reasons[0].problem
    assert short.raw == "a3,short row"
    assert json.loads(json.dumps(bad.as_dict()))["reasons"][0]["field"]


def test_unreadable_optional_text_is_kept_and_counted(tmp_path):
    path = write(tmp_path, "x.csv", "n,r\nkite,Get\nboat,4.2 out of 5\n")
    reader = read_listings(path, ColumnMap.parse("title=n,rating=r"))
    kite, boat = list(reader)
    assert kite.rating is None
    assert kite.attributes == {"rating (as given)": "Get"}
    assert boat.rating == 4.2
    assert reader.counts.kept_as_text == {"rating": 1}


def test_a_jsonl_row_that_is_not_json_is_one_reject(tmp_path):
    path = write(
        tmp_path, "x.jsonl", '{"id": "1", "title": "kite"}\n{"id": "2", "ti\n[1]\n{"id":"3","title":"boat"}\n'
    )
    out = listings(path)
    assert [type(r).__name__ for r in out] == ["Listing", "RejectedRow", "RejectedRow", "Listing"]
    assert "not JSON" in out[1].reasons[0].problem
    assert "JSON list, expected an object" in out[2].reasons[0].problem


def test_a_quote_fault_in_csv_loses_no_line_silently(tmp_path):
    path = write(tmp_path, "x.csv", 'id,title\n1,"good"\n2,"bad"tail\n3,after\n4,"never closed\n')
    out = listings(path)
    assert [getattr(r, "id", None) for r in out] == ["1", None, "3", None]
    assert "quote" in out[1].reasons[0].problem


WHOLE_FILE_FAULTS = {
    "empty": ("x.csv", b"", "the file is empty"),
    "empty jsonl": ("x.jsonl", b"\n\n", "the file is empty"),
    "empty parquet": ("x.parquet", b"", "the file is empty"),
    "unknown suffix": ("x.xlsx", b"PK", r"suffix '.xlsx', expected .csv"),
    "json array": ("x.json", b"[]", "one object a line"),
    "cp949": (
        "x.csv",
        HEADER.encode() + "a1,곰 인형,1,KRW\n".encode("cp949"),
        r"byte 0xb0 at offset 27 \(line 2\) is not utf-8; .*encoding='cp949'",
    ),
    "cut in a character": ("x.csv", (HEADER + "a1,곰").encode()[:-1], "cut short for utf-8"),
    "NUL": ("x.csv", HEADER.encode() + b"a1,ki\0te,1,EUR\n", "NUL byte in line 2, column 6"),
    "endless field": ("x.csv", HEADER.encode() + b'a1,"' + b"y\n" * 600_000, "over 1,000,000 characters"),
    "duplicate header": ("x.csv", b"id,title,title\n1,a,b\n", "column 'title' stands twice"),
    "semicolons": ("x.csv", b"id;title;price\n1;a;2\n", "delimiter=';'"),
    "not gzip": ("y.csv.gz", b"id,title\n", "expected gzip"),
    "not parquet": ("x.parquet", b"PAR1 and then nothing of the kind", "not a whole Parquet file"),
    "foreign columns": (
        "x.csv",
        b"id,name,cost\n1,a,2\n",
        r"columns are not listing fields: name, cost.*--columns",
    ),
}


@pytest.mark.parametrize("case", WHOLE_FILE_FAULTS)
def test_broken_files_say_what_was_got_and_what_to_do(tmp_path, case):
    name, content, message = WHOLE_FILE_FAULTS[case]
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ReadError, match=message):
        listings(path)


def test_truncated_files(tmp_path):
    zipped = gzip.compress((HEADER + "a,b,1,EUR\n" * 5_000).encode())
    cut = tmp_path / "cut.csv.gz"
    cut.write_bytes(zipped[: len(zipped) // 2])
    with pytest.raises(ReadError, match="damaged or cut short"):
        listings(cut)
    whole = tmp_path / "whole.parquet"
    pq.write_table(pa.table({"id": [str(i) for i in range(5_000)], "title": ["kite"] * 5_000}), whole)
    short = tmp_path / "short.parquet"
    short.write_bytes(whole.read_bytes()[:-200])
    with pytest.raises(ReadError, match="not a whole Parquet file"):
        listings(short)


def test_a_missing_file_and_an_unknown_encoding(tmp_path):
    with pytest.raises(ReadError, match="no such file"):
        listings(tmp_path / "none.csv")
    with pytest.raises(ReadError, match="got encoding 'utf-9'"):
        listings(write(tmp_path, "x.csv", ROWS), form=Form(encoding="utf-9"))


def test_named_encoding_is_used(tmp_path):
    path = write(tmp_path, "x.csv", "id,title\n1,곰 인형\n".encode("cp949"))
    assert listings(path, form=Form(encoding="cp949"))[0].title == "곰 인형"


def test_missing_mapped_column_names_what_is_there(tmp_path):
    path = write(tmp_path, "x.csv", "product_title,amount\nkite,3\n")
    with pytest.raises(
        ReadError,
        match=r"no column 'product_tittle' for title \(did you mean 'product_title'\?\).*It has: product_title, amount",
    ):
        listings(path, "title=product_tittle,price=amount")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("titel=name", r"got field 'titel' \(did you mean 'title'\?\)"),
        ("@aliexpres", r"got column map 'aliexpres' \(did you mean 'aliexpress_kr'\?\)"),
        ("title=", "names no column"),
        ("", "is empty"),
        ("title=name~(", "no regular expression"),
    ],
)
def test_column_map_faults(text, message):
    with pytest.raises(ReadError, match=message):
        ColumnMap.parse(text)


def test_one_entry_of_a_built_in_map_can_be_changed():
    changed = ColumnMap.parse("@amazon_in,market='US'")
    assert changed.rules["market"].constant == "US"
    assert changed.rules["title"] == ColumnMap.named("amazon_in").rules["title"]


def test_feeds_known_from_documentation(tmp_path):
    google = write(
        tmp_path,
        "g.tsv",
        "id\ttitle\tprice\tage_group\timage_link\tadditional_image_link\n"
        "g1\tBath boat\t19.99 USD\ttoddler\thttps://i.example/1.jpg\thttps://i.example/2.jpg,https://i.example/3.jpg\n",
    )
    (listing,) = listings(google, "google_merchant")
    assert (listing.price, listing.currency, listing.target_age, len(listing.images)) == (
        19.99,
        "USD",
        "toddler",
        3,
    )
    naver = write(
        tmp_path,
        "n.tsv",
        "id\ttitle\tprice_pc\timage_link\tcategory_name1\tcategory_name2\tmaker\n"
        "n1\t물놀이 튜브\t15900\thttps://i.example/1.jpg\t출산/육아\t완구\t예시토이\n",
    )
    (listing,) = listings(naver, "@naver_ep")
    assert (listing.price, listing.currency, listing.brand) == (15900.0, "KRW", "예시토이")
    assert listing.category == ["출산/육아", "완구"]


def test_constant_memory_reader_does_not_read_ahead(tmp_path):
    path = write(tmp_path, "x.csv", HEADER + "a,b,1,EUR\n" * 1_000 + "a,b\0,1,EUR\n")
    rows = read_rows(path)
    assert [next(rows).line for _ in range(3)] == [2, 3, 4]


cell = st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(
    st.lists(
        st.fixed_dictionaries({"id": cell, "title": cell, "price": cell, "more": cell}),
        min_size=1,
        max_size=8,
    )
)
def test_no_row_vanishes_whatever_it_holds(tmp_path, records):
    path = tmp_path / "x.jsonl"
    path.write_text("\n".join(json.dumps(r) for r in records), encoding="utf-8")
    out = listings(path, "id=id,title=title,price=price,attributes.more=more")
    assert len(out) == len(records)
    for record, result in zip(records, out, strict=True):
        if isinstance(result, RejectedRow):
            assert result.raw == record
        else:
            assert re.sub(r"\s", "", record["title"]) == re.sub(r"\s", "", result.title)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | cell | st.just(10**400),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "price", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
@given(st.fixed_dictionaries(dict.fromkeys("abcdefghi", anything)))
def test_any_json_value_in_any_field_gives_one_result(tmp_path, record):
    path = tmp_path / "x.jsonl"
    path.write_text(json.dumps(record), encoding="utf-8")
    text = "title=a,price=b,units_sold=c,rating=d,images=e,category=f,variants=g,certificates=h,attributes=i"
    assert len(listings(path, f"{text},bullets=e+f")) == 1


def test_a_row_nested_beyond_reason_is_rejected(tmp_path):
    deep = "[" * 900 + "]" * 900
    path = write(tmp_path, "x.jsonl", f'{{"title": "kite", "more": {deep}}}\n{{"title": "boat"}}\n')
    out = listings(path, "title=title,attributes=more")
    assert len(out) == 2
    assert out[1].title == "boat"


def test_a_long_file_is_read_in_constant_memory(tmp_path):
    path = tmp_path / "x.csv"
    with path.open("w") as file:
        file.write(HEADER)
        file.writelines(f"id{n},wooden train number {n},{n},EUR\n" for n in range(40_000))
    tracemalloc.start()
    try:
        assert sum(1 for _ in read_listings(path)) == 40_000
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8_000_000, "a list of 40,000 listings would take over 60 MB"


SETS = {
    "aliexpress_kr": ("aliexpress_kr.jsonl.gz", 970),
    "coupang_kr": ("coupang_kr.csv.gz", 950),
    "1688_zh": ("1688_zh.csv.gz", 828),
    "tmall": ("tmall_cosmetics_zh.csv.gz", 27_598),
    "amazon_in": ("amazon_in.csv.gz", 10_798),
    "amazon_us_toys": ("amazon_us_toys.csv.gz", 1_000),
    "alibaba_toys": ("alibaba_toys_959.csv.gz", 959),
    "shein": ("shein_1000.csv.gz", 1_000),
    "lazada": ("lazada_1000.csv.gz", 1_000),
    "shopee": ("shopee_1000.csv.gz", 1_000),
    "resale": ("resale_live_listings.csv.gz", 1_290),
}


@pytest.mark.data
@pytest.mark.parametrize("name", SETS)
def test_real_files_are_read_whole(data_dir, name):
    file, rows = SETS[name]
    reader = read_listings(data_dir / "listings" / file, ColumnMap.named(name))
    out = list(reader)
    assert len(out) == rows
    assert reader.counts.accepted / rows >= 0.999
    accepted = [r for r in out if isinstance(r, Listing)]
    assert sum(r.price is not None for r in accepted) >= (0 if name == "alibaba_toys" else 0.9 * rows)
    assert sum(bool(r.images) for r in accepted) >= (0 if name == "tmall" else 0.9 * rows)


def test_a_gzip_file_that_is_cut_and_in_another_encoding_is_refused(tmp_path):
    """Looking for the wrong byte reads its line to the end, and that is where the file is cut."""
    path = tmp_path / "cut.csv.gz"
    path.write_bytes(gzip.compress(b"id,title\n1,\x86" + b"a" * 200_000, 0)[:-50])
    with pytest.raises(ReadError, match="damaged or cut short"):
        list(read_rows(path))
