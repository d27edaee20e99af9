"""Pure decisions about orders and payments: no I/O, no clock, the standard library only."""
