import pytest

from sktransfer.formulas import escape_formula, is_formula, restore_formula

FORMULAS = [
    "=1+1",
    "=cmd|' /C calc'!A0",
    "+SUM(A1)",
    "-2+3+cmd",
    "@SUM(1+1)",
    "\t=1+1",
    "\r=1+1",
    "\n=1+1",
    "-neg",
    "+49 170 x",
    "=很好",
]
OTHERS = ["", "-", "--", "+", "@", "neg", "a=b", "-5", "+5", "-1,5", "-1e-3", "-.5"]
OTHERS += ["-12.5 %", "'tis", " =1", "1e-3", "-1.000.000,5"]


class TestEscape:
    @pytest.mark.parametrize("cell", FORMULAS)
    def test_formulas_get_an_apostrophe_and_lose_it_again(self, cell):
        assert is_formula(cell)
        assert escape_formula(cell) == f"'{cell}"
        assert restore_formula(f"'{cell}") == cell
        # Once is enough.
        assert escape_formula(escape_formula(cell)) == f"'{cell}"

    @pytest.mark.parametrize("cell", [*OTHERS, -5, -1e-3, None, float("-inf")])
    def test_numbers_and_texts_stay(self, cell):
        assert escape_formula(cell) is cell

    @pytest.mark.parametrize("cell", [*OTHERS, "'", "''=1", "'5"])
    def test_other_apostrophes_stay(self, cell):
        assert restore_formula(cell) == cell
