"""The command line: one file a verb, each parsing, calling and printing, with the work imported when it is called."""
