"""Tables on narrow screens: what a cell says of itself when no column stands over it."""

from markupsafe import Markup

from adapters.http.console.tables import labelled

TABLE = Markup("""
<caption>All</caption>
<thead><tr><th scope="col">Order</th><th scope="col" class="right">Amount &amp; fee</th>
<th scope="col"><span class="sr-only">What can be done</span></th></tr></thead>
<tbody>
<tr><th scope="row">1</th><td class="right">5 &lt; 6</td><td><a href="/x">Pause</a></td></tr>
<tr><td colspan="3">Nothing else.</td></tr>
</tbody>""")


def test_a_cell_carries_the_head_of_its_column() -> None:
    html = labelled(TABLE)
    assert '<th scope="row" role="rowheader" data-label="Order">1</th>' in html
    assert '<td class="right" role="cell" data-label="Amount &amp; fee">5 &lt; 6</td>' in html


def test_a_cell_of_buttons_or_of_a_whole_row_needs_no_label() -> None:
    html = labelled(TABLE)
    assert '<td role="cell"><a href="/x">Pause</a></td>' in html
    assert '<td colspan="3" role="cell">Nothing else.</td>' in html


def test_rows_stay_rows_when_they_are_shown_as_blocks() -> None:
    html = labelled(TABLE)
    assert html.count('role="row"') == 3
    assert html.count('role="rowgroup"') == 2
    assert html.count('role="columnheader"') == 3
