# Time metafor's REML fits of the rows of two matrices: Rscript engine_peer.R yi.csv vi.csv
# A study that a fit leaves out is NA. Prints the seconds of all fits together; fits that do not converge count as done.
suppressMessages(library(metafor))
files <- commandArgs(trailingOnly = TRUE)
yi <- as.matrix(read.csv(files[1], header = FALSE))
vi <- as.matrix(read.csv(files[2], header = FALSE))
invisible(rma(yi[1, ], vi[1, ], method = "REML")) # what the first call loads is not counted
single <- nrow(unique(yi)) == 1
one <- function(row) {
  keep <- !is.na(yi[row, ])
  fit <- try(suppressWarnings(rma(yi[row, keep], vi[row, keep], method = "REML", test = "adhoc")), silent = TRUE)
  if (single) predict(fit) # a full summary has the prediction interval, too
}
cat(system.time(for (row in seq_len(nrow(yi))) one(row))[["elapsed"]], "\n")
