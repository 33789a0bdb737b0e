"""Reads a spreadsheet as a stranger would and prints what its first sheet has: types, formula, frozen rows, the sum.

usage: sheet.py FILE
"""

import json
import sys
from decimal import Decimal

import openpyxl


def main() -> None:
    sheet = openpyxl.load_workbook(sys.argv[1]).worksheets[0]
    shown = openpyxl.load_workbook(sys.argv[1], data_only=True).worksheets[0]
    rows = list(sheet.iter_rows(min_row=2, values_only=True))
    amounts = [Decimal(str(row[9])) for row in rows[:-1]]
    print(
        json.dumps(
            {
                "head": [cell.value for cell in sheet[1]],
                "frozen": sheet.freeze_panes,
                "types": [cell.data_type for cell in sheet[2]],
                "formula": rows[-1][9],
                "shown": str(shown.cell(row=sheet.max_row, column=10).value),
                "sum": str(sum(amounts, Decimal(0))),
                "pattern": sheet.cell(row=2, column=10).number_format,
            }
        )
    )


main()
