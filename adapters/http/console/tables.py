"""Tables for narrow screens: there the style sheet shows a row as a block, a cell below the other.

So each cell carries the text of its column's head, and every part its ARIA role: a browser may no
longer see a table in what is shown as blocks (CSS Display 3, appendix B).
"""

import re

from markupsafe import Markup, escape

PART = re.compile(r"<(thead|tbody|tr|th|td)\b([^>]*)>")
HEAD = re.compile(r"<th\b[^>]*>(.*?)</th>", re.DOTALL)
ROLES = {"thead": "rowgroup", "tbody": "rowgroup", "tr": "row", "td": "cell"}
UNSEEN = 'class="sr-only"'  # such a head stands over buttons, which say what they do


def labelled(rows: Markup) -> Markup:
    """The head and the rows of a table as a template wrote them, with labels and roles.

    Templates escape what they show, so that every `<` begins a tag of theirs.
    """
    html = str(rows)
    heads = HEAD.findall(html.partition("</thead>")[0])
    labels = ["" if UNSEEN in head else Markup(head).striptags() for head in heads]  # noqa: S704
    column = 0

    def with_role(part: re.Match[str]) -> str:
        nonlocal column
        name, attributes = part.groups()
        role, label = ROLES.get(name), ""
        if name == "tr":
            column = 0
        elif name == "th":
            role = "rowheader" if 'scope="row"' in attributes else "columnheader"
        if name == "td" or role == "rowheader":
            label = "" if "colspan" in attributes else labels[column]
            column += 1
        told = f' data-label="{escape(label)}"' if label else ""
        return f'<{name}{attributes} role="{role}"{told}>'

    return Markup(PART.sub(with_role, html))  # noqa: S704
