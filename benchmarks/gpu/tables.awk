# Tables of a report from the JSON lines of ebb-gpu-bench and torch_bench.py: awk -f tables.awk ebb.jsonl torch.jsonl
# A figure that was not measured is a dash. Ceilings are the better of the two programs' measurements.

# field(line, key): the value of a key in one flat JSON object.
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
function ratio(a, b) { return a == "" || b == "" || b == 0 ? "-" : sprintf("%.2f", a / b) }
function percent(a, b) { return a == "" || b == "" || b == 0 ? "-" : sprintf("%.1f %%", 100 * a / b) }
function rate(amount, t, unit) { return t == "" || amount == 0 ? "" : amount / t / unit }  # amount / us in 1e9 or 1e12

/"quick":true/ {
  print "A line of a quick run: it says nothing, and no table is made of it: " FILENAME > "/dev/stderr"
  broken = 1
  exit 1
}
/^{/ {
  group = field($0, "group")
  row = group SUBSEP field($0, "name") SUBSEP field($0, "variant")
  time[field($0, "source"), field($0, "mode"), row] = field($0, "us")
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
  print "Forward, cross-entropy, backward and optimizer. x: PyTorch's time over Ebb's.\n"
  print "| net | optimizer | Ebb eager | Ebb captured | PyTorch eager | PyTorch captured | x eager / eager |" \
        " x eager / captured | x captured / captured | TFLOP/s | of ceiling |"
  print "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
  for (i = 1; i <= rows; ++i) {
    split(order[i], part, SUBSEP)
    if (part[1] != "training") continue
    e = us("ebb", "eager", order[i]); c = us("ebb", "captured", order[i])
    te = us("torch", "eager", order[i]); tc = us("torch", "captured", order[i])
    split(part[3], variant, " ")
    speed = rate(flops[order[i]], c, 1e6)
    print "| " part[2] " | " part[3] " | " number(e) " | " number(c) " | " number(te) " | " number(tc) " | " \
          ratio(te, e) " | " ratio(te, c) " | " ratio(tc, c) " | " number(speed) " | " \
          percent(speed, peak[variant[2]]) " |"
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
  }

  print "\n### Losses, forward and backward\n"
  print "GB/s: bytes that have to be moved, each read or written once, over the captured step's time; last, which" \
        " part of the measured copy bandwidth that is. Above 100 %: the data stood in the cache.\n"
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
  }
}
