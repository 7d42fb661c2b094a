"""Reading the system as a whole: processes, their memory and what never changes about them."""
