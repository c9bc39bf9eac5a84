# Prints the tables of a report from the JSON lines of ebb-gpu-bench, torch_bench.py and jax_bench.py:
#   awk -f tables.awk ebb.jsonl torch.jsonl jax.jsonl
# A dash means that a figure was not measured. A ceiling is the better measurement of the two programs.

# field(line, key): returns the value of a key in a flat JSON object.
function field(line, key,    at, rest) {
  at = index(line, "\"" key "\":")
  if (!at) return ""
  rest = substr(line, at + length(key) + 3)
  if (substr(rest, 1, 1) == "\"") {
    rest = substr(rest, 2)
    return substr(rest, 1, index(rest, "\"") - 1)
  }
  match(rest, /[,}]/)
  return substr(rest, 1, RSTART - 1)
}
function us(source, mode, row) { return ((source, mode, row) in time) ? time[source, mode, row] : "" }
function best(a, b) { return a == "" ? b : b == "" ? a : a + 0 < b + 0 ? a : b }
function number(x) {
  if (x == "") return "-"
  x += 0
  return x < 10 ? sprintf("%.2f", x) : x < 1000 ? sprintf("%.1f", x) : sprintf("%.0f", x)
}
function milli(x) { return x == "" ? "-" : number(x / 1e3) }
function ratio(a, b) { return a == "" || b == "" || b == 0 ? "-" : sprintf("%.2f", a / b) }
function percent(a, b) { return a == "" || b == "" || b == 0 ? "-" : sprintf("%.1f %%", 100 * a / b) }
# note_spread(x, row): inserts a spread into a list that is sorted from the largest to the smallest.
function note_spread(x, row,    i) {
  for (i = ++spreads; i > 1 && spread[i - 1] < x; --i) spread[i] = spread[i - 1]
  spread[i] = x
  if (i == 1) widest = row
}
# judge(aim, value, row): keeps the worst value of an aim: the largest for a floor, else the
# smallest.
function judge(aim, value, row,    sign) {
  if (value == "" || value == "-") return
  ++judged[aim]
  sign = aim ~ /floor/ ? -1 : 1
  if (!(aim in worst) || sign * value < sign * worst[aim]) {
    worst[aim] = value
    worst_row[aim] = row
  }
}
function quotient(a, b) { return a == "" || b == "" || b == 0 ? "" : a / b }
function aim_line(aim, text, limit, form,    met) {
  if (!(aim in worst)) {
    print "| " text " | not measured | | |"
    return
  }
  met = aim ~ /floor/ ? worst[aim] <= limit : worst[aim] >= limit
  print "| " text " | " sprintf(form, worst[aim]) " | " worst_row[aim] " | " (met ? "yes" : "no") " |"
}
function rate(amount, t, unit) { return t == "" || amount == 0 ? "" : amount / t / unit }  # amount / us in 1e9 or 1e12

/"quick":true/ {
  print "This file has a line of a quick run, whose figures have no meaning: " FILENAME > "/dev/stderr"
  broken = 1
  exit 1
}
/^{/ {
  group = field($0, "group")
  row = group SUBSEP field($0, "name") SUBSEP field($0, "variant")
  time[field($0, "source"), field($0, "mode"), row] = field($0, "us")
  note_spread((field($0, "us_p90") - field($0, "us_p10")) / field($0, "us"), field($0, "source") " " field($0, "name"))
  if (!(row in seen)) {
    seen[row] = 1
    order[++rows] = row
    flops[row] = field($0, "flops")
    bytes[row] = field($0, "bytes")
  }
}

END {
  if (broken) exit 1
  if (!rows) {
    print "No figures were measured."
    exit
  }
  print "From the 10th to the 90th percentile a row's times spread over " percent(spread[int((spreads + 1) / 2)], 1) \
        " of its median in the middle row, over " percent(spread[1], 1) " in the worst (" widest ").\n"
  print "### Ceilings of this card\n"
  print "| measured | Ebb | PyTorch | unit |\n| --- | ---: | ---: | --- |"
  for (i = 1; i <= rows; ++i) {
    split(order[i], part, SUBSEP)
    if (part[1] != "ceiling") continue
    copy = part[2] == "copy"
    amount = copy ? bytes[order[i]] : flops[order[i]]
    unit = copy ? 1e3 : 1e6
    a = rate(amount, us("ebb", "eager", order[i]), unit)
    b = rate(amount, us("torch", "eager", order[i]), unit)
    top = a == "" ? b : b == "" ? a : a + 0 > b + 0 ? a : b
    if (copy) bandwidth = top
    else peak[part[3]] = top
    n = sprintf("%.0f", copy ? amount / 2 / 1048576 : (amount / 2) ^ (1 / 3))
    label = copy ? "copy of " n " MiB, read and written" : "matrix product " n "^3, " part[3]
    print "| " label " | " number(a) " | " number(b) " | " (copy ? "GB/s" : "TFLOP/s") " |"
  }

  print "\n### Training steps, microseconds\n"
  print "Forward, cross-entropy, backward and optimizer. x: PyTorch's time over Ebb's. XLA: 100 steps in one scan.\n"
  print "| net | optimizer | Ebb eager | Ebb captured | PyTorch eager | PyTorch captured | XLA | x eager / eager |" \
        " x eager / captured | x captured / captured | XLA / captured | TFLOP/s | of ceiling |"
  print "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
  for (i = 1; i <= rows; ++i) {
    split(order[i], part, SUBSEP)
    if (part[1] != "training") continue
    e = us("ebb", "eager", order[i]); c = us("ebb", "captured", order[i])
    te = us("torch", "eager", order[i]); tc = us("torch", "captured", order[i])
    xla = us("xla", "scan", order[i])
    split(part[3], variant, " ")
    speed = rate(flops[order[i]], c, 1e6)
    print "| " part[2] " | " part[3] " | " number(e) " | " number(c) " | " number(te) " | " number(tc) " | " \
          number(xla) " | " ratio(te, e) " | " ratio(te, c) " | " ratio(tc, c) " | " ratio(xla, c) " | " number(speed) " | " \
          percent(speed, peak[variant[2]]) " |"
    if (part[2] ~ /^mlp_(2_16_16_2|64_32_10|784_128_10)_/) {
      judge("eager", quotient(te, c), part[2] ", " part[3])
      judge("graph", quotient(tc, c), part[2] ", " part[3])
    }
  }

  print "\n### Training steps against their matrix products alone, microseconds\n"
  print "The floor: the faster of Ebb's and PyTorch's products of the same shapes, captured, without anything else.\n"
  print "| net | precision | Ebb's products | PyTorch's products | Ebb step, SGD | over the floor | Ebb step, Adam |" \
        " over the floor |"
  print "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |"
  for (i = 1; i <= rows; ++i) {
    split(order[i], part, SUBSEP)
    if (part[1] != "products") continue
    a = us("ebb", "captured", order[i]); b = us("torch", "captured", order[i])
    floor = best(a, b)
    sgd = us("ebb", "captured", "training" SUBSEP part[2] SUBSEP "sgd " part[3])
    adam = us("ebb", "captured", "training" SUBSEP part[2] SUBSEP "adam " part[3])
    print "| " part[2] " | " part[3] " | " number(a) " | " number(b) " | " number(sgd) " | " ratio(sgd, floor) " | " \
          number(adam) " | " ratio(adam, floor) " |"
    if (part[2] ~ /^mlp_4096/) {
      judge("floor sgd", quotient(sgd, floor), part[2] ", sgd " part[3])
      judge("floor adam", quotient(adam, floor), part[2] ", adam " part[3])
    }
  }

  print "\n### Epochs, milliseconds\n"
  print "Captured steps, with the loading of batches. x: PyTorch's time over Ebb's, both with the data on the card.\n"
  print "| epoch | optimizer | Ebb, data on the card | Ebb, data on the host | PyTorch, data on the card | x |"
  print "| --- | --- | ---: | ---: | ---: | ---: |"
  for (i = 1; i <= rows; ++i) {
    split(order[i], part, SUBSEP)
    if (part[1] != "epoch") continue
    c = us("ebb", "captured", order[i]); tc = us("torch", "captured", order[i])
    print "| " part[2] " | " part[3] " | " milli(c) " | " milli(us("ebb", "from host", order[i])) " | " milli(tc) " | " \
          ratio(tc, c) " |"
    judge("epoch floor", quotient(c, 1e6), part[2])
  }

  print "\n### Layers and convolution nets, microseconds\n"
  print "Nets: a training step with SGD. Layers: forward and backward. x: PyTorch's time over Ebb's, both captured.\n"
  print "| layer | precision | Ebb eager | Ebb captured | PyTorch eager | PyTorch captured | x |"
  print "| --- | --- | ---: | ---: | ---: | ---: | ---: |"
  for (i = 1; i <= rows; ++i) {
    split(order[i], part, SUBSEP)
    if (part[1] != "layer") continue
    c = us("ebb", "captured", order[i]); tc = us("torch", "captured", order[i])
    print "| " part[2] " | " part[3] " | " number(us("ebb", "eager", order[i])) " | " number(c) " | " \
          number(us("torch", "eager", order[i])) " | " number(tc) " | " ratio(tc, c) " |"
  }

  print "\n### Losses, forward and backward\n"
  print "GB/s: the bytes that have to be read or written once, divided by the time of the captured step. Of copy: the" \
        " fraction of the measured copy bandwidth. More than 100 % means that the data was in the cache.\n"
  print "| loss | Ebb eager us | Ebb captured us | PyTorch eager us | PyTorch captured us | Ebb GB/s | PyTorch GB/s |" \
        " Ebb of copy | PyTorch of copy |"
  print "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
  for (i = 1; i <= rows; ++i) {
    split(order[i], part, SUBSEP)
    if (part[1] != "loss") continue
    e = us("ebb", "eager", order[i]); c = us("ebb", "captured", order[i])
    te = us("torch", "eager", order[i]); tc = us("torch", "captured", order[i])
    ours = rate(bytes[order[i]], c, 1e3); theirs = rate(bytes[order[i]], tc, 1e3)
    print "| " part[2] " | " number(e) " | " number(c) " | " number(te) " | " number(tc) " | " number(ours) " | " \
          number(theirs) " | " percent(ours, bandwidth) " | " percent(theirs, bandwidth) " |"
    if (bytes[order[i]] >= 8e6) judge("losses", quotient(ours, bandwidth), part[2])
  }

  print "\n### Aims\n"
  print "Captured steps. Losses of less than 8 MB stay in the cache and are left out.\n"
  print "| aim | worst | of | met |\n| --- | ---: | --- | --- |"
  aim_line("eager", "small MLP steps at least 10 times as fast as PyTorch eager", 10, "%.1f times")
  aim_line("graph", "small MLP steps no slower than PyTorch captured", 1, "%.2f times")
  aim_line("floor sgd", "4096-wide MLP with SGD within 5 % of its matrix products alone", 1.05, "%.2f times")
  aim_line("floor adam", "4096-wide MLP with Adam within 5 % of its matrix products alone", 1.05, "%.2f times")
  aim_line("epoch floor", "an epoch of 60,000 pictures with 784-128-10 in 0.03 s", 0.03, "%.3f s")
  aim_line("losses", "losses at 85 % of the bandwidth of a copy", 0.85, "%.2f of it")
}
