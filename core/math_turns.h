// 2^e 2 / pi modulo 4 for e = 0 ... 105, from which math_trig.h reduces large angles. In three
// parts: the product of the first or the second, of at most 28 bits, and a float is exact. Computed
// with 2,000 bits.
#pragma once

namespace ebb::math::detail {

inline constexpr double kTurnsHigh[] = {
    0x1.45f307p-1,   0x1.45f306cp0,  -0x1.7419f24p0,  0x1.17cc1b8p0,   -0x1.d067c9p0,
    0x1.7cc1b7p-2,   0x1.7cc1b7p-1,  0x1.7cc1b74p0,   -0x1.067c91cp0,  0x1.f306dc8p0,
    -0x1.9f246cp-4,  -0x1.9f246cp-3, -0x1.9f246cp-2,  -0x1.9f246c8p-1, -0x1.9f246c8p0,
    0x1.836e4e8p-1,  0x1.836e4e4p0,  -0x1.f246c7p-1,  -0x1.f246c7p0,   0x1.b72724p-4,
    0x1.b72722p-3,   0x1.b72722p-2,  0x1.b72722p-1,   0x1.b72722p0,    -0x1.236378p-1,
    -0x1.236377cp0,  0x1.b939104p0,  -0x1.1b1bbe8p-1, -0x1.1b1bbecp0,  0x1.c9c882cp0,
    -0x1.b1bbebp-2,  -0x1.b1bbebp-1, -0x1.b1bbeacp0,  0x1.3910548p-1,  0x1.391054cp0,
    -0x1.8ddf56cp0,  0x1.c882a5p-1,  0x1.c882a54p0,   -0x1.bbead6p-2,  -0x1.bbead6p-1,
    -0x1.bbead6p0,   0x1.1054a8p-1,  0x1.1054a8p0,    -0x1.df56bp0,    0x1.054a7fp-2,
    0x1.054a7fp-1,   0x1.054a7fp0,   -0x1.f56b02p0,   0x1.529fc4p-4,   0x1.529fc2p-3,
    0x1.529fc2p-2,   0x1.529fc28p-1, 0x1.529fc28p0,   -0x1.5ac07bp0,   0x1.4a7f09cp0,
    -0x1.6b01ec4p0,  0x1.29fc274p0,  -0x1.ac07b14p0,  0x1.4fe13a8p-1,  0x1.4fe13acp0,
    -0x1.603d8a8p0,  0x1.3f84ebp0,   -0x1.80f62ap0,   0x1.fc2758p-1,   0x1.fc2757cp0,
    -0x1.ec541p-6,   -0x1.ec5418p-5, -0x1.ec5418p-4,  -0x1.ec5418p-3,  -0x1.ec5417p-2,
    -0x1.ec5417p-1,  -0x1.ec5417p0,  0x1.3abe9p-3,    0x1.3abe9p-2,    0x1.3abe8f8p-1,
    0x1.3abe8fcp0,   -0x1.8a82e0cp0, 0x1.d5f47d8p-1,  0x1.d5f47d4p0,   -0x1.505c16p-2,
    -0x1.505c158p-1, -0x1.505c158p0, 0x1.5f47d4cp0,   -0x1.4170564p0,  0x1.7d1f534p0,
    -0x1.05c1598p0,  0x1.f47d4d4p0,  -0x1.705658p-4,  -0x1.70565ap-3,  -0x1.705659p-2,
    -0x1.705659p-1,  -0x1.705659p0,  0x1.1f534dcp0,   -0x1.c159644p0,  0x1.f534dep-2,
    0x1.f534dep-1,   0x1.f534ddcp0,  -0x1.596448p-4,  -0x1.596448p-3,  -0x1.596448p-2,
    -0x1.596448p-1,  -0x1.596448p0,  0x1.4d37704p0,   -0x1.65911f8p0,  0x1.34ddc0cp0,
    -0x1.96447e4p0};

inline constexpr double kTurnsMiddle[] = {
    -0x1.1b1bbecp-28, 0x1.c9c882cp-28,  -0x1.b1bbebp-30,  -0x1.b1bbebp-29,  -0x1.b1bbeacp-28,
    0x1.3910548p-29,  0x1.391054cp-28,  -0x1.8ddf56cp-28, 0x1.c882a5p-29,   0x1.c882a54p-28,
    -0x1.bbead6p-30,  -0x1.bbead6p-29,  -0x1.bbead6p-28,  0x1.1054a8p-29,   0x1.1054a8p-28,
    -0x1.df56bp-28,   0x1.054a7fp-30,   0x1.054a7fp-29,   0x1.054a7fp-28,   -0x1.f56b02p-28,
    0x1.529fc4p-32,   0x1.529fc2p-31,   0x1.529fc2p-30,   0x1.529fc28p-29,  0x1.529fc28p-28,
    -0x1.5ac07bp-28,  0x1.4a7f09cp-28,  -0x1.6b01ec4p-28, 0x1.29fc274p-28,  -0x1.ac07b14p-28,
    0x1.4fe13a8p-29,  0x1.4fe13acp-28,  -0x1.603d8a8p-28, 0x1.3f84ebp-28,   -0x1.80f62ap-28,
    0x1.fc2758p-29,   0x1.fc2757cp-28,  -0x1.ec541p-34,   -0x1.ec5418p-33,  -0x1.ec5418p-32,
    -0x1.ec5418p-31,  -0x1.ec5417p-30,  -0x1.ec5417p-29,  -0x1.ec5417p-28,  0x1.3abe9p-31,
    0x1.3abe9p-30,    0x1.3abe8f8p-29,  0x1.3abe8fcp-28,  -0x1.8a82e0cp-28, 0x1.d5f47d8p-29,
    0x1.d5f47d4p-28,  -0x1.505c16p-30,  -0x1.505c158p-29, -0x1.505c158p-28, 0x1.5f47d4cp-28,
    -0x1.4170564p-28, 0x1.7d1f534p-28,  -0x1.05c1598p-28, 0x1.f47d4d4p-28,  -0x1.705658p-32,
    -0x1.70565ap-31,  -0x1.705659p-30,  -0x1.705659p-29,  -0x1.705659p-28,  0x1.1f534dcp-28,
    -0x1.c159644p-28, 0x1.f534dep-30,   0x1.f534dep-29,   0x1.f534ddcp-28,  -0x1.596448p-32,
    -0x1.596448p-31,  -0x1.596448p-30,  -0x1.596448p-29,  -0x1.596448p-28,  0x1.4d37704p-28,
    -0x1.65911f8p-28, 0x1.34ddc0cp-28,  -0x1.96447e4p-28, 0x1.a6ee07p-29,   0x1.a6ee06cp-28,
    -0x1.6447e48p-29, -0x1.6447e48p-28, 0x1.377036cp-28,  -0x1.911f924p-28, 0x1.bb81b7p-29,
    0x1.bb81b6cp-28,  -0x1.11f925p-29,  -0x1.11f925p-28,  0x1.dc0db64p-28,  -0x1.1f924fp-30,
    -0x1.1f924e8p-29, -0x1.1f924ecp-28, 0x1.c0db628p-28,  -0x1.f924ebp-30,  -0x1.f924eb8p-29,
    -0x1.f924eb4p-28, 0x1.b6c528p-33,   0x1.b6c52cp-32,   0x1.b6c52cp-31,   0x1.b6c52bp-30,
    0x1.b6c52bp-29,   0x1.b6c52b4p-28,  -0x1.24eb53p-29,  -0x1.24eb534p-28, 0x1.b629598p-28,
    -0x1.275a998p-29};

inline constexpr double kTurnsLow[] = {
    0x1.29fc2757d1f53p-56,  -0x1.ac07b1505c159p-56, 0x1.4fe13abe8fa9ap-57,  0x1.4fe13abe8fa9ap-56,
    -0x1.603d8a82e0acbp-56, 0x1.3f84eafa3ea6ap-56,  -0x1.80f62a0b82b2dp-56, 0x1.fc2757d1f534ep-57,
    0x1.fc2757d1f534ep-56,  -0x1.ec54170565912p-62, -0x1.ec54170565912p-61, -0x1.ec54170565912p-60,
    -0x1.ec54170565912p-59, -0x1.ec54170565912p-58, -0x1.ec54170565912p-57, -0x1.ec54170565912p-56,
    0x1.3abe8fa9a6eep-59,   0x1.3abe8fa9a6eep-58,   0x1.3abe8fa9a6eep-57,   0x1.3abe8fa9a6eep-56,
    -0x1.8a82e0acb223fp-56, 0x1.d5f47d4d37703p-57,  0x1.d5f47d4d37703p-56,  -0x1.505c1596447e5p-58,
    -0x1.505c1596447e5p-57, -0x1.505c1596447e5p-56, 0x1.5f47d4d377037p-56,  -0x1.4170565911f92p-56,
    0x1.7d1f534ddc0dbp-56,  -0x1.05c1596447e49p-56, 0x1.f47d4d377036ep-56,  -0x1.70565911f924fp-60,
    -0x1.70565911f924fp-59, -0x1.70565911f924fp-58, -0x1.70565911f924fp-57, -0x1.70565911f924fp-56,
    0x1.1f534ddc0db63p-56,  -0x1.c1596447e493bp-56, 0x1.f534ddc0db629p-58,  0x1.f534ddc0db629p-57,
    0x1.f534ddc0db629p-56,  -0x1.596447e493ad5p-60, -0x1.596447e493ad5p-59, -0x1.596447e493ad5p-58,
    -0x1.596447e493ad5p-57, -0x1.596447e493ad5p-56, 0x1.4d377036d8a56p-56,  -0x1.65911f924eb53p-56,
    0x1.34ddc0db6295ap-56,  -0x1.96447e493ad4dp-56, 0x1.a6ee06db14acdp-57,  0x1.a6ee06db14acdp-56,
    -0x1.6447e493ad4cep-57, -0x1.6447e493ad4cep-56, 0x1.377036d8a5665p-56,  -0x1.911f924eb5336p-56,
    0x1.bb81b6c52b328p-57,  0x1.bb81b6c52b328p-56,  -0x1.11f924eb53362p-57, -0x1.11f924eb53362p-56,
    0x1.dc0db6295993cp-56,  -0x1.1f924eb53361ep-58, -0x1.1f924eb53361ep-57, -0x1.1f924eb53361ep-56,
    0x1.c0db6295993c4p-56,  -0x1.f924eb53361dep-58, -0x1.f924eb53361dep-57, -0x1.f924eb53361dep-56,
    0x1.b6c52b3278872p-61,  0x1.b6c52b3278872p-60,  0x1.b6c52b3278872p-59,  0x1.b6c52b3278872p-58,
    0x1.b6c52b3278872p-57,  0x1.b6c52b3278872p-56,  -0x1.24eb53361de38p-57, -0x1.24eb53361de38p-56,
    0x1.b6295993c439p-56,   -0x1.275a99b0ef1bfp-57, -0x1.275a99b0ef1bfp-56, 0x1.b14acc9e21c82p-56,
    -0x1.3ad4cd8778df8p-57, -0x1.3ad4cd8778df8p-56, 0x1.8a5664f10e41p-56,   -0x1.d6a66c3bc6fbep-57,
    -0x1.d6a66c3bc6fbep-56, 0x1.4acc9e21c821p-58,   0x1.4acc9e21c821p-57,   0x1.4acc9e21c821p-56,
    -0x1.6a66c3bc6fbep-56,  0x1.2b3278872084p-56,   -0x1.a99b0ef1bef8p-56,  0x1.5993c439041fep-57,
    0x1.5993c439041fep-56,  -0x1.4cd8778df7c03p-56, 0x1.664f10e4107f9p-56,  -0x1.3361de37df00dp-56,
    0x1.993c439041fe5p-56,  -0x1.9b0ef1bef806cp-57, -0x1.9b0ef1bef806cp-56, 0x1.93c439041fe51p-57,
    0x1.93c439041fe51p-56,  -0x1.b0ef1bef806bap-57, -0x1.b0ef1bef806bap-56, 0x1.3c439041fe516p-57,
    0x1.3c439041fe516p-56,  -0x1.8778df7c035d4p-56};

}  // namespace ebb::math::detail
