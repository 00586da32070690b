-- +goose Up
-- The orders of the lists. What else people sort by in the page works without; the server then logs the index that would help.
CREATE INDEX ON flights (departs_at, id);
CREATE INDEX ON flights (delay_minutes DESC, id);
CREATE INDEX ON flights (distance_miles DESC, origin, destination DESC, id);
CREATE INDEX ON flights (note, id DESC);
CREATE INDEX ON airports (name, iata);

-- +goose Down
DROP INDEX flights_departs_at_id_idx, flights_delay_minutes_id_idx, flights_distance_miles_origin_destination_id_idx,
  flights_note_id_idx, airports_name_iata_idx;
