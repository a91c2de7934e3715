"""What comes from elsewhere: data sets that may not be shipped, fetched from their owners."""
