"""How fast the service is, and what it costs, beside the pipeline that a team writes in a day."""
