"""How a delivery or a run can end, and every sentence a person reads about it."""
