import contextlib
from pathlib import Path

import pytest

from sktransfer.comparison.run import journal
from sktransfer.comparison.run.journal import Journal, open_journal, recorded_seed
from sktransfer.exceptions import InvalidParameterError, SktransferWarning

SETTINGS = {"texts": "abc", "random_state": 7}


def write(folder, *numbers, settings=SETTINGS):
    with open_journal(folder, settings) as journal:
        for number in numbers:
            journal.write({"entry": "fold", "number": number})
        return [entry["number"] for entry in journal.of_kind("fold")]


class TestGoingOn:
    def test_entries_are_there_again(self, tmp_path):
        write(tmp_path, 1, 2)
        assert write(tmp_path, 3) == [1, 2, 3]
        assert write(tmp_path) == [1, 2, 3]

    def test_numbers_come_back_to_the_last_digit(self, tmp_path):
        write(tmp_path, 0.1 + 0.2, float("inf"))
        assert write(tmp_path) == [0.1 + 0.2, float("inf")]

    def test_every_torn_end_is_ignored_and_overwritten(self, tmp_path):
        write(tmp_path, 1, 2)
        path = tmp_path / "journal.jsonl"
        whole = path.read_bytes()
        last = whole.rstrip(b"\n").rindex(b"\n") + 1
        for end in range(last, len(whole)):
            path.write_bytes(whole[:end])
            assert write(tmp_path) == [1]
        assert write(tmp_path, 3) == [1, 3]
        assert write(tmp_path) == [1, 3]

    def test_a_torn_head_is_written_anew(self, tmp_path):
        write(tmp_path)
        path = tmp_path / "journal.jsonl"
        path.write_bytes(path.read_bytes()[:20])
        assert write(tmp_path, 1) == [1]
        assert write(tmp_path) == [1]

    def test_damaged_lines_are_told_and_left_out(self, tmp_path):
        write(tmp_path, 1, 2, 3)
        path = tmp_path / "journal.jsonl"
        path.write_bytes(path.read_bytes().replace(b'"number":2', b'"number":9'))
        with pytest.warns(SktransferWarning, match="1 damaged lines"):
            assert write(tmp_path) == [1, 3]

    def test_without_a_folder_entries_are_kept_in_memory(self):
        journal = Journal()
        journal.write({"entry": "fold"})
        assert journal.of_kind("fold") == [{"entry": "fold"}]
        assert journal.of_kind("source") == []

    def test_the_seed_is_remembered(self, tmp_path):
        assert recorded_seed(None) is None
        assert recorded_seed(tmp_path) is None
        write(tmp_path)
        assert recorded_seed(tmp_path) == 7


class TestRefusals:
    def test_other_settings_are_named(self, tmp_path):
        write(tmp_path, 1)
        with pytest.raises(InvalidParameterError, match="random_state was 7 and is 8"):
            write(tmp_path, settings=SETTINGS | {"random_state": 8})

    def test_a_folder_in_use_is_refused(self, tmp_path):
        with (
            open_journal(tmp_path, SETTINGS),
            pytest.raises(InvalidParameterError, match="in use by another"),
        ):
            write(tmp_path)

    @pytest.mark.parametrize(
        "content", [b"my diary", b"my diary\nand more", b'{"mine": 1}\n']
    )
    def test_files_of_others_stay(self, tmp_path, content):
        path = tmp_path / "journal.jsonl"
        path.write_bytes(content)
        with pytest.raises(InvalidParameterError, match="was not written by this ver"):
            write(tmp_path)
        assert path.read_bytes() == content

    def test_what_is_no_journal_is_refused(self, tmp_path):
        write(tmp_path, 1)
        path = tmp_path / "journal.jsonl"
        path.write_bytes(path.read_bytes().partition(b"\n")[2])
        with pytest.raises(InvalidParameterError, match="was not written by this ver"):
            write(tmp_path)


class TestForeignLines:
    """A line counts in the journal that it was written for, as long as it is whole."""

    def test_a_line_of_another_journal_is_none_of_this_one(self, tmp_path):
        one, two = tmp_path / "one", tmp_path / "two"
        write(one, 1, 2)
        write(two, 8, 9, settings=SETTINGS | {"texts": "other"})
        path, other = one / "journal.jsonl", two / "journal.jsonl"
        lines = path.read_bytes().splitlines(keepends=True)
        lines[1] = other.read_bytes().splitlines(keepends=True)[2]
        path.write_bytes(b"".join(lines))
        with pytest.warns(SktransferWarning, match="1 damaged lines"):
            assert write(one) == [2]

    def test_a_carriage_return_ends_no_line(self, tmp_path):
        write(tmp_path, 1, 2, 3)
        path = tmp_path / "journal.jsonl"
        lines = path.read_bytes().splitlines(keepends=True)
        lines[1] = lines[1].replace(b":", b"\r", 1)
        path.write_bytes(b"".join(lines))
        with pytest.warns(SktransferWarning, match="1 damaged lines"):
            assert write(tmp_path) == [2, 3]
        assert path.read_bytes() == b"".join(lines)

    def test_journals_of_format_1_are_gone_on_with(self, tmp_path):
        header = {"entry": "header", "format": 1, "settings": SETTINGS}
        fold = {"entry": "fold", "number": 1}
        path = tmp_path / "journal.jsonl"
        path.write_bytes(journal._seal(header) + journal._seal(fold))
        assert write(tmp_path, 2) == [1, 2]
        assert write(tmp_path) == [1, 2]

    def test_a_full_disk_is_named(self, tmp_path):
        with Path("/dev/full").open("wb") as file:
            kept = Journal(file)
            with pytest.raises(OSError, match=r"once there is room: '/dev/full'"):
                kept.write({"entry": "fold"})
            with contextlib.suppress(OSError):
                file.close()
