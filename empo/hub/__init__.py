"""What comes from the Hub and other owners, and what goes there: data, adapters, jobs."""
