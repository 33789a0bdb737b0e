"""Reads the text of a PDF as a stranger would and prints it, page by page.

usage: pages.py FILE
"""

import json
import sys

import pypdf


def main() -> None:
    print(json.dumps([page.extract_text() for page in pypdf.PdfReader(sys.argv[1], strict=True).pages]))


main()
