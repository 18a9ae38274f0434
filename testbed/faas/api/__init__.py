"""The REST API: requests and answers as data, what a path means, what is admitted."""
