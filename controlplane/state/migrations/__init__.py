"""Steps of the state's schema, which Alembic applies when the state is opened. A released one is never edited: a change is a new step."""
