number <- function(x) ifelse(is.na(x), "-", formatC(x, digits = 6, format = "g"))

limits <- function(fit, p) {
  # The interval for a similar centre: t with k - 2 degrees of freedom (Higgins, Thompson and Spiegelhalter 2009)
  b <- as.numeric(fit$beta)
  if (is.null(fit$tau2) || fit$k < 3 || p$method %in% c("EE", "FE")) return(c(pi_lb = NA, pi_ub = NA))
  reach <- qt(1 - (1 - p$level) / 2, fit$k - 2) * sqrt(as.numeric(fit$se)^2 + fit$tau2)
  c(pi_lb = b - reach, pi_ub = b + reach)
}

values <- function(fit, p, q = fit$QE) {
  tau2 <- if (is.null(fit$tau2)) NA else fit$tau2
  i2 <- if (is.null(fit$I2)) NA else fit$I2
  c(beta = as.numeric(fit$beta), se = as.numeric(fit$se), ci_lb = fit$ci.lb, ci_ub = fit$ci.ub,
    limits(fit, p), tau2 = tau2, I2 = i2, Q = q)
}

as_normal <- function(p, yi, vi) {
  control <- if (p$method %in% c("ML", "REML", "EB")) list(threshold = 1e-10, maxiter = 10000) else list()
  rma(yi, vi, method = p$method, test = p$test, level = 100 * p$level, control = control)
}

of_counts <- function(p) {
  # Nobody or everybody had the event, or there is one study: the exact interval of the sum
  d <- p$rows
  x <- sum(d$events); n <- sum(d$n)
  exact <- binom.test(x, n, conf.level = p$level)$conf.int
  if (nrow(d) == 1 || x == 0 || x == n) return(c(beta = qlogis(x / n), ci_lb = qlogis(exact[1]), ci_ub = qlogis(exact[2])))
  fit <- rma.glmm(measure = "PLO", xi = d$events, ni = d$n, nAGQ = p$nodes, test = p$test, level = 100 * p$level,
                  control = list(optCtrl = list(maxfun = 1e6)))
  values(fit, p, fit$QE.LRT)
}

newcombe <- function(d, level) {
  # Limits of one risk difference from the score limits of both proportions (Newcombe 1998, method 10)
  score <- function(x, n) suppressWarnings(prop.test(x, n, conf.level = level, correct = FALSE)$conf.int)
  cells <- score(d$events, d$n)
  control <- score(d$events_control, d$n_control)
  one <- d$events / d$n
  other <- d$events_control / d$n_control
  one - other + c(-sqrt((one - cells[1])^2 + (control[2] - other)^2), sqrt((cells[2] - one)^2 + (other - control[1])^2))
}

redo <- function(p) {
  d <- p$rows
  if (p$model == "binomial_normal") return(of_counts(p))
  if (p$model == "mantel_haenszel") {
    fit <- rma.mh(ai = d$events, n1i = d$n, ci = d$events_control, n2i = d$n_control, measure = p$measure,
                  level = 100 * p$level, drop00 = FALSE)
    limits <- if (nrow(d) == 1 && p$measure == "RD") newcombe(d, p$level) else c(fit$ci.lb, fit$ci.ub)
    return(c(beta = as.numeric(fit$beta), se = as.numeric(fit$se), ci_lb = limits[1], ci_ub = limits[2]))
  }
  if (p$measure == "PLO") {
    e <- escalc(measure = "PLO", xi = d$events, ni = d$n, add = 1/2, to = "only0")
    return(values(as_normal(p, e$yi, e$vi), p))
  }
  if (p$model == "normal") return(values(as_normal(p, d$yi, d$vi), p))
  NULL
}

# The Bayesian intervals: the mean flat, tau half-normal with the given scale; ends of the mean and of a similar centre.

ends <- function(at, mass, level) {
  # Quantiles of a density on even steps
  step <- at[2] - at[1]
  approx(cumsum(mass) / sum(mass), at + step / 2, c((1 - level) / 2, (1 + level) / 2), ties = "ordered")$y
}

normal_by_integration <- function(p, scale) {
  # Exact for effects: given tau, the mean and a new effect are normal
  y <- p$rows$yi; v <- p$rows$vi
  tau <- scale * qnorm((1 + (seq_len(4000) - 0.5) / 4000) / 2)
  each <- vapply(tau, function(t) {
    w <- 1 / (v + t^2)
    m <- sum(w * y) / sum(w)
    c(m, 1 / sum(w), 0.5 * sum(log(w)) - 0.5 * log(sum(w)) - 0.5 * sum(w * (y - m)^2))
  }, numeric(3))
  weight <- exp(each[3, ] - max(each[3, ]))
  quantile_of <- function(q, variance) uniroot(
    function(x) sum(weight * pnorm(x, each[1, ], sqrt(variance))) / sum(weight) - q, mean(y) + c(-1, 1) * 100 * scale,
    tol = 1e-9)$root
  tails <- c((1 - p$level) / 2, (1 + p$level) / 2)
  c(sapply(tails, quantile_of, variance = each[2, ]), sapply(tails, quantile_of, variance = each[2, ] + tau^2))
}

grid_of_counts <- function(p) {
  # Likelihood of mean and tau for counts, on a grid of logits
  at <- qlogis((sum(p$rows$events) + 0.5) / (sum(p$rows$n) + 1)) + seq(-16, 16, by = 0.05)
  own <- mapply(function(x, n) dbinom(x, n, plogis(at)), p$rows$events, p$rows$n)
  steps <- (seq_len(80) - 0.5) / 80
  tau <- 8 * steps^2
  apart <- abs(outer(seq_along(at), seq_along(at), "-")) + 1
  kernel <- function(t) {
    d <- (seq_along(at) - 1) * 0.05
    k <- pnorm((d + 0.025) / t) - pnorm((d - 0.025) / t)
    matrix(k[apart], length(at))
  }
  loglik <- vapply(tau, function(t) rowSums(log(pmax(kernel(t) %*% own, 1e-300))), numeric(length(at)))
  list(at = at, tau = tau, width = 16 * steps / 80, loglik = loglik - max(loglik), kernel = kernel)
}

counts_by_integration <- function(p, scales) {
  # One column for each scale of the prior
  grid <- grid_of_counts(p)
  prior <- vapply(scales, function(s) exp(-0.5 * (grid$tau / s)^2) / s * grid$width, numeric(length(grid$tau)))
  mean <- exp(grid$loglik) %*% prior
  new <- 0 * mean
  for (i in seq_along(grid$tau)) {
    mass <- outer(exp(grid$loglik[, i]), prior[i, ])
    if (any(mass > 1e-9 * max(mean))) new <- new + grid$kernel(grid$tau[i]) %*% mass
  }
  vapply(seq_along(scales), function(i) c(ends(grid$at, mean[, i], p$level), ends(grid$at, new[, i], p$level)), numeric(4))
}

bayesian <- function(p) {
  # By integration in base R, and for effects by bayesmeta where it is installed
  found <- list()
  of_counts <- p$measure == "PLO"
  of_each <- if (of_counts && nrow(p$bayes)) counts_by_integration(p, p$bayes$scale)
  for (i in seq_len(nrow(p$bayes))) {
    one <- p$bayes[i, ]
    ours <- unlist(one[c("ci_lb", "ci_ub", "pi_lb", "pi_ub")])
    compare <- function(how, theirs) data.frame(
      quantity = sprintf("%s, prior %g%s", names(ours), one$scale, how), report = ours, R = theirs,
      near = tolerances$bayes, row.names = NULL)
    found[[length(found) + 1]] <- compare(
      "", if (of_counts) of_each[, i] else normal_by_integration(p, one$scale))
    if (!of_counts && requireNamespace("bayesmeta", quietly = TRUE)) {
      prior <- function(t) bayesmeta::dhalfnormal(t, scale = one$scale)
      fit <- bayesmeta::bayesmeta(y = p$rows$yi, sigma = sqrt(p$rows$vi), tau.prior = prior)
      tails <- c((1 - p$level) / 2, (1 + p$level) / 2)
      found[[length(found) + 1]] <- compare(
        ", bayesmeta", c(fit$qposterior(mu.p = tails), fit$qposterior(mu.p = tails, predict = TRUE)))
    }
  }
  do.call(rbind, found)
}

effects_of_rows <- function(p) {
  # The effects in the rows, from their counts: a second reading of what was pooled
  d <- p$rows
  if (p$measure == "PLO" && !anyNA(d$events)) {
    whole <- d$events > 0 & d$events < d$n
    if (!any(whole)) return(NA)  # no logit where nobody or everybody had the event
    e <- escalc(measure = "PLO", xi = d$events[whole], ni = d$n[whole])
    return(max(0, abs(e$yi - d$yi[whole]), abs(e$vi - d$vi[whole])))
  }
  if (p$measure == "RD" && !anyNA(d$events)) {
    e <- escalc(measure = "RD", ai = d$events, n1i = d$n, ci = d$events_control, n2i = d$n_control, add = 0)
    return(max(abs(e$yi - d$yi), abs(e$vi - d$vi)))
  }
  NA
}

lines <- list()
for (name in names(pools)) {
  p <- pools[[name]]
  if (nrow(p$rows) == 0) {
    cat(sprintf("%s: no study\n", name))
    next
  }
  if (all(is.na(p$ours))) {
    cat(sprintf("%s: %d studies, not pooled by the report\n", name, nrow(p$rows)))
    next
  }
  theirs <- tryCatch(redo(p), error = function(e) conditionMessage(e))
  if (is.null(theirs) || is.character(theirs)) {
    cat(sprintf("%s: not redone (%s)\n", name, if (is.null(theirs)) paste("metafor has no model", p$model) else theirs))
    next
  }
  near <- tolerances[[if (p$model == "binomial_normal" && nrow(p$rows) > 1) "likelihood" else "closed"]]
  both <- intersect(names(p$ours), names(theirs))
  both <- both[!is.na(p$ours[both]) & !is.na(theirs[both])]
  mine <- data.frame(quantity = both, report = p$ours[both], R = theirs[both], near = near, row.names = NULL)
  rows <- effects_of_rows(p)
  if (!is.na(rows)) mine <- rbind(mine, data.frame(quantity = "effects of rows", report = 0, R = rows, near = tolerances$closed))
  lines[[name]] <- cbind(pool = name, rbind(mine, bayesian(p)))
}

compared <- do.call(rbind, lines)
if (is.null(compared)) {
  cat("nothing to compare\n")
} else {
  compared$difference <- abs(compared$report - compared$R) / pmax(1, abs(compared$report))
  compared$agrees <- compared$difference <= compared$near
  shown <- within(compared, { report <- number(report); R <- number(R); difference <- number(difference) })
  print(shown, right = FALSE, row.names = FALSE)
  cat(sprintf("\n%d pools, %d values, largest difference %s, beyond tolerance: %d\n", length(lines), nrow(compared),
              number(max(compared$difference)), sum(!compared$agrees)))
  if (!interactive() && any(!compared$agrees)) quit(status = 1)
}
