-- Of the indexes of deliveries that are over, too, the primary key alone begins with the endpoint: until PostgreSQL knows what there is, it takes any of them
-- for a delivery, and reads along it all that the endpoint has.
DROP INDEX deliveries_of_stream;
CREATE INDEX deliveries_of_stream ON deliveries (stream, endpoint, message);
DROP INDEX deliveries_by_state;
CREATE INDEX deliveries_by_state ON deliveries (state, endpoint, message);
