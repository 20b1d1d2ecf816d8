"""The subcommands of `bench`, one file each; what they have in common is in `options`."""
