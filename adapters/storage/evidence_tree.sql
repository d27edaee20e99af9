-- The tree of an SQLite ledger, in a file of its own: it is made from the log and can be made again.

-- 256 neighbouring hashes of a level, 32 bytes each, one after the other; the last of a level has
-- fewer. The roots of level 0's tiles are the hashes of level 1, and so on.
CREATE TABLE IF NOT EXISTS tiles (
    partition INTEGER NOT NULL,
    level     INTEGER NOT NULL,
    number    INTEGER NOT NULL,
    hashes    BLOB    NOT NULL,
    PRIMARY KEY (partition, level, number)
);

-- One row: why the sealer stands still, or null.
CREATE TABLE IF NOT EXISTS sealer (problem TEXT);
