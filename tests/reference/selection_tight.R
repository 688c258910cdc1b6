# Selection models by metafor with tight integrals: the packed records ran integrate() with its loose default, on which
# the second derivatives behind the standard errors are noise.
#
#     python tests/reference/selection_tight.py    writes the rows to standard input and keeps what comes out
suppressMessages(library(metafor))
rows <- read.csv(file("stdin"))
integral <- list(intCtrl = list(rel.tol = 1e-11, subdivisions = 2000))
for (key in unique(rows$key)) {
  set <- rows[rows$key == key, ]
  numbers <- suppressWarnings({
    pooled <- rma(set$yi, set$vi, method = "ML", test = "z")
    model <- selmodel(pooled, type = set$type[1], control = integral)
    with(model, c(ll, beta, se, tau2, se.tau2, delta[1], se.delta[1], delta[2], se.delta[2]))
  })
  cat(key, sprintf("%.10g", numbers), sep = ",")
  cat("\n")
}
