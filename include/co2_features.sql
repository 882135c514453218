-- One row a week: what was measured until then, and next week's value, which is the target.
SELECT * FROM (
    SELECT
        date,
        known AS co2,
        lag(known, 1) OVER weeks AS co2_1_week_ago,
        lag(known, 2) OVER weeks AS co2_2_weeks_ago,
        lag(known, 3) OVER weeks AS co2_3_weeks_ago,
        lag(known, 26) OVER weeks AS co2_26_weeks_ago,
        lag(known, 51) OVER weeks AS co2_51_weeks_ago,
        lag(known, 52) OVER weeks AS co2_52_weeks_ago,
        lead(co2) OVER weeks AS next_co2
    FROM (
        -- 59 weeks are missing: the last value known stands for them among the features, never as the target.
        SELECT date, co2, last_value(co2 IGNORE NULLS) OVER (ORDER BY date) AS known FROM dataset
    )
    WINDOW weeks AS (ORDER BY date)
)
WHERE next_co2 IS NOT NULL AND co2_52_weeks_ago IS NOT NULL
