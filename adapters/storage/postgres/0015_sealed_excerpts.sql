-- What targets of effects answered is sealed under the key of the order from here on, so that it is
-- gone with that key, also from dumps and archives. What was kept in clear is let go.
UPDATE order_ledger.effects SET excerpt = NULL
 WHERE excerpt IS NOT NULL AND excerpt NOT LIKE 'sealed:%';
