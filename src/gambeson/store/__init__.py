"""The store: control data and events in SQLite or PostgreSQL. Every question names an organisation."""
