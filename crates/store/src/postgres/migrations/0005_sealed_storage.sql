-- What is sealed does not get smaller, and hashes do not either: nothing tries to compress them. An answer stays in its row if a page has room for it.
ALTER TABLE idempotency ALTER COLUMN sealed_body SET STORAGE EXTERNAL;
ALTER TABLE idempotency SET (toast_tuple_target = 8160);
ALTER TABLE attempts ALTER COLUMN sealed SET STORAGE EXTERNAL;
ALTER TABLE tiles ALTER COLUMN bytes SET STORAGE EXTERNAL;
