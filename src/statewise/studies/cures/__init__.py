"""The studies of what cures a recurrent model that forgets."""
