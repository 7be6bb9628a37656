"""Files into raw tables: whole or not at all, once, with each row's file and line."""

import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.unit.warehouse.readers.workbooks import workbook
from warehouse.errors import LakeError, SourceFileError
from warehouse.lake.connection import connect, current_snapshot, writer
from warehouse.lenders import rules
from warehouse.raw import SOURCES
from warehouse.readers.parquet_file import ParquetFile
from warehouse.settings import Settings
from warehouse.sources import ingest_files
from warehouse.sources.reloading import reload_table


@pytest.fixture
def truth_file(tmp_path: Path) -> Path:
    """The smallest known kind of file; its last line is no row."""
    path = tmp_path / "truth.csv"
    path.write_text("application_id,p_default,is_shock_period\nsim-1,0.125,false\nsim-2,abc,true\nsim-3,0.5\n")
    return path


def query(home: Settings, sql: str) -> list[tuple[object, ...]]:
    with connect(home) as con:
        return con.execute(sql).fetchall()


def test_rows_are_text_with_their_file_and_line(home: Settings, truth_file: Path) -> None:
    ingest_files("simulated", [truth_file], home, "truth")

    rows = query(home, "select * exclude (_loaded_at) from raw.simulated_truth order by _line")
    assert rows == [("sim-1", "0.125", "false", "truth.csv", 2), ("sim-2", "abc", "true", "truth.csv", 3)]


def test_a_line_that_is_no_row_is_kept_with_its_reason(home: Settings, truth_file: Path) -> None:
    (result,) = ingest_files("simulated", [truth_file], home, "truth")

    rejected = query(home, "select * exclude (loaded_at) from raw.rejected_lines")
    assert rejected == [("simulated", "truth", "truth.csv", 4, "sim-3,0.5", "2 fields instead of 3")]
    assert (result.n_rows, result.n_rejected, result.status) == (2, 1, "loaded")


def test_the_file_itself_is_recorded(home: Settings, truth_file: Path) -> None:
    ingest_files("simulated", [truth_file], home, "truth")

    files = query(home, "select source, entity, file, n_bytes, n_rows, n_quarantined from raw.files")
    assert files == [("simulated", "truth", "truth.csv", truth_file.stat().st_size, 2, 1)]


def test_the_same_content_again_changes_nothing_whatever_its_name(home: Settings, truth_file: Path) -> None:
    """A file that arrives twice must not count its loans twice, nor make a snapshot."""
    ingest_files("simulated", [truth_file], home, "truth")
    with connect(home) as con:
        before = current_snapshot(con)
    renamed = truth_file.rename(truth_file.with_name("truth-resent.csv"))

    (result,) = ingest_files("simulated", [renamed], home, "truth")

    with connect(home) as con:
        assert current_snapshot(con) == before
    assert (result.status, result.n_rows, result.n_rejected) == ("already_loaded", 2, 1)


def test_known_content_under_another_name_brings_a_lost_landing_file_back(home: Settings, truth_file: Path) -> None:
    """It was landed under its name now, which `loanlake data reload` does not look for."""
    ingest_files("simulated", [truth_file], home, "truth")
    landing = home.landing / "simulated" / "truth"
    (landing / "truth.csv").unlink()
    renamed = truth_file.rename(truth_file.with_name("truth-resent.csv"))

    ingest_files("simulated", [renamed], home, "truth")

    assert [path.name for path in landing.iterdir()] == ["truth.csv"]
    assert (landing / "truth.csv").read_bytes() == renamed.read_bytes()


def test_known_content_under_another_name_is_not_landed_twice(home: Settings, truth_file: Path) -> None:
    ingest_files("simulated", [truth_file], home, "truth")
    renamed = truth_file.rename(truth_file.with_name("truth-resent.csv"))

    ingest_files("simulated", [renamed], home, "truth")

    assert [path.name for path in (home.landing / "simulated" / "truth").iterdir()] == ["truth.csv"]


def test_the_same_file_twice_in_one_call_is_loaded_once(home: Settings, truth_file: Path) -> None:
    results = ingest_files("simulated", [truth_file, truth_file], home, "truth")

    assert [result.status for result in results] == ["loaded", "already_loaded"]
    assert query(home, "select count(*) from raw.simulated_truth") == [(2,)]


def test_a_new_content_under_a_known_name_is_loaded_beside_the_old(home: Settings, truth_file: Path) -> None:
    ingest_files("simulated", [truth_file], home, "truth")
    truth_file.write_text("application_id,p_default,is_shock_period\nsim-9,0.25,false\n")

    ingest_files("simulated", [truth_file], home, "truth")

    (names,) = query(home, "select count(distinct _file), count(*) from raw.simulated_truth")
    assert names == (2, 3)


def test_gzip_and_parquet_load_as_plain_text_does(home: Settings, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,amount\n1,100\n")
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(b"id,amount\n2,200\n"))
    pq.write_table(pa.table({"id": [3], "amount": [300]}), tmp_path / "c.parquet")

    ingest_files("mybank", [tmp_path / name for name in ("a.csv", "b.csv.gz", "c.parquet")], home, "loans")

    rows = query(home, "select id, amount, _file, _line from raw.mybank_loans order by id")
    assert rows == [("1", "100", "a.csv", 2), ("2", "200", "b.csv.gz", 2), ("3", "300", "c.parquet", 2)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("application_id,p_default\nsim-1,0.1\n", "1 of 3 columns are missing: is_shock_period"),
        ("application_id,p_default,is_shock_period\n", "at least one row: found a header and no row"),
        (
            "application_id,p_default,is_shock_period\n1,2\n1,2\n",
            r"at least one row: none of its lines is one \(2 fields instead of 3\)",
        ),
        ("application_id p_default\nsim-1 0.1\n", "separated by blanks, or it has one column: declare its `delimiter`"),
    ],
)
def test_a_file_that_cannot_be_used_leaves_nothing(home: Settings, tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "truth.csv"
    path.write_text(content)
    with writer("a test", home) as con:
        before = current_snapshot(con)

    with pytest.raises(SourceFileError, match=message):
        ingest_files("simulated", [path], home, "truth")

    with connect(home) as con:
        assert current_snapshot(con) == before
    assert list((home.landing / "simulated" / "truth").iterdir()) == []


def test_a_lake_that_cannot_be_written_is_no_fault_of_the_file(
    home: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk must not be a reason to set a file of the inbox aside."""
    pq.write_table(pa.table({"id": [1]}), tmp_path / "whole.parquet")
    whole = pa.table({"id": [str(number) for number in range(50_000)]})
    pq.write_table(whole, tmp_path / "damaged.parquet", compression="gzip")
    damaged = bytearray((tmp_path / "damaged.parquet").read_bytes())
    damaged[1_000:5_000] = bytes(4_000)
    (tmp_path / "damaged.parquet").write_bytes(damaged)
    with pytest.raises(SourceFileError, match=r"damaged\.parquet could not be read to its end"):
        ingest_files("mybank", [tmp_path / "damaged.parquet"], home, "loans")

    monkeypatch.setattr(ParquetFile, "select", lambda *_: "select error('no space left') as id, 1 as _line")
    with pytest.raises(LakeError, match=r"rows of whole\.parquet could not be written to the lake: .*no space left"):
        ingest_files("mybank", [tmp_path / "whole.parquet"], home, "loans")


def test_an_error_late_in_a_file_takes_back_its_first_rows(home: Settings, tmp_path: Path) -> None:
    """The gzip stream breaks after the first blocks have gone to the lake: nothing may be half loaded."""
    whole = gzip.compress(("id,amount\n" + "".join(f"{i},{i * 7919 % 1009}\n" for i in range(2_000_000))).encode(), 1)
    (tmp_path / "loans.csv.gz").write_bytes(whole[: len(whole) - 100])

    with pytest.raises(SourceFileError, match=r"damaged or cut short .* nothing of it was loaded"):
        ingest_files("mybank", [tmp_path / "loans.csv.gz"], home, "loans")

    (found,) = query(home, "select count(*) from information_schema.tables where table_name = 'mybank_loans'")
    assert found == (0,)
    assert query(home, "from raw.files") == []


def test_files_before_a_bad_one_stay_loaded(home: Settings, truth_file: Path) -> None:
    heard: list[str] = []

    with pytest.raises(SourceFileError, match="found nothing at"):
        ingest_files("simulated", [truth_file, "nonesuch.csv"], home, "truth", lambda result: heard.append(result.file))

    assert heard == ["truth.csv"]
    assert query(home, "select count(*) from raw.files") == [(1,)]


def test_a_column_that_the_source_does_not_know_is_ignored_and_named(home: Settings, tmp_path: Path) -> None:
    (tmp_path / "truth.csv").write_text("new,is_shock_period,p_default,application_id\nx,true,0.5,sim-1\n")

    (result,) = ingest_files("simulated", [tmp_path / "truth.csv"], home, "truth")

    assert result.ignored_columns == ("new",)
    assert query(home, "select application_id, p_default, is_shock_period from raw.simulated_truth") == [
        ("sim-1", "0.5", "true")
    ]


def test_a_lender_of_ones_own_may_have_any_header(home: Settings, tmp_path: Path) -> None:
    (tmp_path / "loans.csv").write_text('Loan ID,"% of limit",select,Über\n1,2,3,4\n')

    ingest_files("mybank", [tmp_path / "loans.csv"], home, "loans")

    assert query(home, 'select loan_id, of_limit, "select", uber from raw.mybank_loans') == [("1", "2", "3", "4")]


def test_a_later_file_of_an_own_lender_must_have_the_same_columns(home: Settings, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,amount\n1,2\n")
    (tmp_path / "b.csv").write_text("id,sum\n1,2\n")
    ingest_files("mybank", [tmp_path / "a.csv"], home, "loans")

    with pytest.raises(SourceFileError, match="the first one loaded, id, amount: missing amount; nothing"):
        ingest_files("mybank", [tmp_path / "b.csv"], home, "loans")

    assert query(home, "select count(*) from raw.mybank_loans") == [(1,)]


@pytest.fixture
def lender_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of the lender mybank, which a test may write."""
    monkeypatch.setattr("warehouse.lenders.rules.DIRECTORY", tmp_path)
    return tmp_path / "mybank.yml"


def test_a_new_column_of_a_later_file_is_kept_and_named(home: Settings, tmp_path: Path) -> None:
    """Files of a branch that has not the column yet are loaded too; the first file's columns stay required."""
    (tmp_path / "a.csv").write_text("id,amount\n1,2\n")
    (tmp_path / "b.csv").write_text('id,"% paid",amount\n2,50,3\n')
    (tmp_path / "c.csv").write_text("amount,id\n4,3\n")
    (tmp_path / "d.csv").write_text("id,paid\n4,9\n")

    results = ingest_files("mybank", [tmp_path / name for name in ("a.csv", "b.csv", "c.csv")], home, "loans")
    with pytest.raises(SourceFileError, match="missing amount"):
        ingest_files("mybank", [tmp_path / "d.csv"], home, "loans")
    reload_table(home, "raw.mybank_loans")

    assert [result.new_columns for result in results] == [(), ("paid",), ()]
    rows = query(home, "select id, amount, paid, _file from raw.mybank_loans order by id")
    assert rows == [("1", "2", None, "a.csv"), ("2", "3", "50", "b.csv"), ("3", "4", None, "c.csv")]
    (tmp_path / "e.csv").write_text("id,amount\n5,6\n")
    assert ingest_files("mybank", [tmp_path / "e.csv"], home, "loans")[0].new_columns == ()


def test_a_new_column_is_ignored_if_the_lender_says_so(home: Settings, tmp_path: Path, lender_file: Path) -> None:
    lender_file.write_text("files: {loans: {new_columns: ignore}}")
    (tmp_path / "a.csv").write_text("id,amount\n1,2\n")
    (tmp_path / "b.csv").write_text("id,amount,paid\n2,3,50\n")

    _, second = ingest_files("mybank", [tmp_path / "a.csv", tmp_path / "b.csv"], home, "loans")

    assert (second.ignored_columns, second.new_columns) == (("paid",), ())
    assert query(home, "select id, amount from raw.mybank_loans order by id") == [("1", "2"), ("2", "3")]


def test_files_of_any_kind_fill_one_table_and_are_loaded_again_as_they_were_read(
    home: Settings, tmp_path: Path, lender_file: Path
) -> None:
    lender_file.write_text("files: {loans: {encoding: cp1252}}")
    (tmp_path / "a.csv").write_bytes("Loans;\nid;name\n1;Zürich\n".encode("cp1252"))
    (tmp_path / "b.jsonl").write_bytes('{"name": "Genève", "id": 2}\n'.encode("cp1252"))
    workbook(tmp_path / "c.xlsx", {"Loans": [["id", "name"], [3, "Köln"]], "Notes": [["x"]]})

    results = ingest_files("mybank", [tmp_path / name for name in ("a.csv", "b.jsonl", "c.xlsx")], home, "loans")
    lender_file.write_text("{}")  # how a file was read is kept with it
    reload_table(home, "raw.mybank_loans")

    rows = query(home, "select id, name, _file, _line from raw.mybank_loans order by id")
    assert rows == [("1", "Zürich", "a.csv", 3), ("2", "Genève", "b.jsonl", 1), ("3", "Köln", "c.xlsx", 2)]
    assert [result.read_as for result in results] == [
        "cp1252, semicolons, 1 line before the header",
        "json lines, cp1252",
        "workbook, sheet Loans",
    ]
    assert ["it has 2 sheets" in str(result.notices) for result in results] == [False, False, True]
    assert query(home, "select format, encoding, delimiter, title_lines, sheet from raw.files order by file") == [
        ("csv", "cp1252", ";", 1, None),
        ("json lines", "cp1252", None, None, None),
        ("workbook", None, None, 0, "Loans"),
    ]


def test_a_name_with_quotes_in_it_is_only_a_name(home: Settings, tmp_path: Path) -> None:
    pq.write_table(pa.table({'i"d': ["1"]}), tmp_path / "it's.parquet")

    ingest_files("mybank", [tmp_path / "it's.parquet"], home, "loans")

    assert query(home, "select i_d, _file from raw.mybank_loans") == [("1", "it's.parquet")]


@pytest.mark.parametrize("declared", ["files: {loans: {title_lines: 2}}", ""], ids=["declared", "found"])
def test_title_lines_are_kept_as_notes_and_count_as_no_loss(
    home: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, declared: str
) -> None:
    (tmp_path / "mybank.yml").write_text(declared)
    monkeypatch.setattr(rules, "DIRECTORY", tmp_path)
    (tmp_path / "loans.csv").write_text("My Bank\nLoans of 2024\nid,amount\n1,100\n2,200\n")

    (result,) = ingest_files("mybank", [tmp_path / "loans.csv"], home, "loans")

    assert (result.n_rows, result.n_rejected, result.reasons) == (2, 0, ())
    assert query(home, "select n_rows, n_quarantined from raw.files") == [(2, 0)]
    assert query(home, "select line, value from raw.rejected_lines order by line") == [
        (1, "My Bank"),
        (2, "Loans of 2024"),
    ]


def test_the_public_lending_club_files_notes_are_no_loans(home: Settings, tmp_path: Path) -> None:
    """Its footer of totals is padded with commas to the width of a loan; its older downloads begin with a notice."""
    columns = SOURCES["lending_club"].entities["loans"]
    loan = ",".join(["1", *[""] * 150])
    totals = "Total amount funded in policy code 1: 460296150" + "," * 150
    (tmp_path / "accepted.csv").write_text(
        "\n".join(
            [
                "Notes offered by Prospectus (https://www.lendingclub.com/info/prospectus.action)",
                ",".join(columns),
                loan,
                "",
                "",
                totals,
                '"Total amount funded in policy code 2: 0"',
            ]
        )
        + "\n"
    )

    (result,) = ingest_files("lending_club", [tmp_path / "accepted.csv"], home)

    assert (result.n_rows, result.n_rejected, result.reasons) == (1, 0, ())
    assert query(home, "select n_rows, n_quarantined from raw.files") == [(1, 0)]
    assert query(home, "select id, _line from raw.lending_club_loans") == [("1", 3)]
    rejected = query(home, "select line, reason from raw.rejected_lines order by line")
    assert rejected == [(line, "a note of the file about itself, not a row") for line in (1, 6, 7)]


def test_the_real_lending_club_file_loads_every_loan(home: Settings, lending_club_file: Path) -> None:
    (result,) = ingest_files("lending_club", [lending_club_file], home)

    assert (result.n_rows, result.n_rejected, result.ignored_columns) == (42_535, 0, ())
    ends = "select arg_min(id, _line), arg_max(id, _line), min(_line), max(_line) from raw.lending_club_loans"
    assert query(home, ends) == [("54734", "1077501", 2, 42_536)]


def test_the_real_credit_card_file_loads_every_account(home: Settings, uci_credit_card_file: Path) -> None:
    (result,) = ingest_files("uci_credit_card", [uci_credit_card_file], home)

    defaults = "select count(*) from raw.uci_credit_card_accounts where default_payment_next_month = '1'"
    assert (result.n_rows, result.n_rejected) == (30_000, 0)
    assert query(home, defaults) == [(6_636,)]
