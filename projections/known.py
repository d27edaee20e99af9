"""The read models that there are."""

from projections.audit_history import AUDIT_HISTORY
from projections.order_status import ORDER_STATUS
from projections.totals import MONEY

PROJECTIONS = (ORDER_STATUS, AUDIT_HISTORY, MONEY)
