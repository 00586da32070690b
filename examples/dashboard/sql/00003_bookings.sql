-- +goose Up
CREATE TABLE bookings (
  user_name text,
  flight_id bigint REFERENCES flights ON DELETE CASCADE,
  PRIMARY KEY (user_name, flight_id)
);
CREATE INDEX ON bookings (flight_id); -- from a flight to those who have booked it

-- +goose Down
DROP TABLE bookings;
