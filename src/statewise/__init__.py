"""statewise: sequence layers that train in parallel and decode in constant memory, and what they can hold."""
