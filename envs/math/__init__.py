"""Mathematical problems: where an answer stands in a text, exact arithmetic, and grading."""
