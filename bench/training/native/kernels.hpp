// Training kernels for small convolutional networks on one core.
//
// A value is stored as [block][channel][row][column][lane]: the lanes of a vector are images, so
// that every kernel works on whole vectors whatever the number of channels, and a weight is one
// broadcast scalar. A stage is a convolution or a dense layer (or neither) and what follows it up
// to the next one: ReLU, batch normalisation, ReLU, max-pooling, dropout. It keeps
//     y   what leaves the first ReLU,
//     p   y after pooling (the minimum where the scale of the normalisation is negative),
//     d   dropout(relu(scale * p + shift)), which is the value that the next stage reads.
// The source that `source.py` writes describes each stage as a struct of constants.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace {  // everything is one library's own: another network's stages have the same names

#if defined(__AVX512F__)
constexpr int LANES = 16, TILE_CHANNELS = 4, TILE_PIXELS = 6;
#elif defined(__AVX__)
constexpr int LANES = 8, TILE_CHANNELS = 3, TILE_PIXELS = 4;
#else
constexpr int LANES = 4, TILE_CHANNELS = 4, TILE_PIXELS = 5;
#endif
constexpr int TILE = TILE_CHANNELS * TILE_PIXELS;

typedef float V __attribute__((vector_size(LANES * 4)));
typedef int32_t I __attribute__((vector_size(LANES * 4)));
typedef uint32_t U __attribute__((vector_size(LANES * 4)));

#define INLINE inline __attribute__((always_inline))
#define INLINE_LAMBDA __attribute__((always_inline))
// Keep a value that is used several times in a register: compilers read it again from memory.
#if defined(__AVX512F__)
#define HOLD(x) asm("" : "+v"(x))
#elif defined(__SSE2__)
#define HOLD(x) asm("" : "+x"(x))
#elif defined(__aarch64__)
#define HOLD(x) asm("" : "+w"(x))
#else
#define HOLD(x)
#endif
#define UNROLL _Pragma("GCC unroll 32")

struct Batch {
    int images, blocks;
    V last;  // 1 in the lanes of the last block that hold an image, 0 elsewhere
};

static INLINE V splat(float value) { return value - V{}; }  // exact, and one broadcast
static INLINE V rectify(V x) { return x < 0.0f ? V{} : x; }  // keeps NaN
static INLINE double sum_lanes(V x) {
    double sum = 0;
    for (int lane = 0; lane < LANES; ++lane) sum += x[lane];
    return sum;
}
static Batch make_batch(int images) {
    Batch batch{images, (images + LANES - 1) / LANES, {}};
    for (int lane = 0; lane < LANES; ++lane)
        batch.last[lane] = (batch.blocks - 1) * LANES + lane < images ? 1.0f : 0.0f;
    return batch;
}
static INLINE V mask_of(const Batch& batch, int block) {
    return block + 1 == batch.blocks ? batch.last : splat(1.0f);
}

// ---------------------------------------------------------------------------- random numbers

static INLINE uint64_t mix(uint64_t x) {  // SplitMix64 (Steele, Lea and Flood 2014)
    x += 0x9E3779B97F4A7C15u;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
}

struct DropoutKey {
    uint32_t first, second;
};
static INLINE DropoutKey make_key(uint64_t stream, uint64_t step, int stage) {
    const uint64_t key = mix(mix(stream ^ mix(step)) + stage);
    return {uint32_t(key), uint32_t(key >> 32)};
}

// Multiplier of each lane: 0 with the probability of `threshold` / 2^32, else `scale`. A hash of
// the element's number (Wellons, lowbias32), so that backward draws what forward drew.
static INLINE V draw_dropout(DropoutKey key, U element, uint32_t threshold, float scale) {
    U h = element ^ key.first;
    h ^= h >> 16;
    h *= 0x7feb352du;
    h ^= h >> 15;
    h += key.second;
    h *= 0x846ca68bu;
    h ^= h >> 16;
    h *= 0x9E3779B1u;
    h ^= h >> 15;
    return h < threshold ? V{} : splat(scale);
}

// ------------------------------------------------------------------------------- convolution

constexpr int ceil_div(int a, int b) { return (a + b - 1) / b; }

// Geometry of a convolution over a stored input of IH x IW (padding included).
template <int IC_, int OC_, int KH_, int KW_, int SY_, int SX_, int IH_, int IW_, int OH_, int OW_>
struct Geometry {
    static constexpr int IC = IC_, OC = OC_, KH = KH_, KW = KW_, SY = SY_, SX = SX_;
    static constexpr int IH = IH_, IW = IW_, OH = OH_, OW = OW_;
};

// Cut `total` into the fewest parts of at most `most`, as equal as possible: the first
// `longer` parts are `part` + 1 long, the others `part`.
template <int total, int most>
struct Cut {
    static constexpr int parts = ceil_div(total, most);
    static constexpr int part = total / parts, longer = total % parts;
};

template <class G, int OG, int PT>
static INLINE void convolve_tile(const V* x, const float* w, V (&acc)[OG][PT]) {
    for (int ic = 0; ic < G::IC; ++ic)
        for (int ky = 0; ky < G::KH; ++ky) {
            const V* row = x + (ic * G::IH + ky) * G::IW;
            UNROLL
            for (int kx = 0; kx < G::KW; ++kx) {
                V weights[OG];
                UNROLL
                for (int o = 0; o < OG; ++o) {
                    weights[o] = splat(w[o]);
                    HOLD(weights[o]);
                }
                UNROLL
                for (int p = 0; p < PT; ++p) {
                    V pixel = row[kx + p * G::SX];
                    HOLD(pixel);
                    UNROLL
                    for (int o = 0; o < OG; ++o) acc[o][p] += pixel * weights[o];
                }
                w += OG;
            }
        }
}

// Weights in the order in which the tiles read them: [group][ic][ky][kx][oc in group].
template <class G>
static void pack_weights(const float* w, float* packed, bool flip) {
    using Groups = Cut<G::OC, TILE_CHANNELS>;
    for (int group = 0, first = 0; group < Groups::parts; ++group) {
        const int size = Groups::part + (group < Groups::longer);
        for (int ic = 0; ic < G::IC; ++ic)
            for (int ky = 0; ky < G::KH; ++ky)
                for (int kx = 0; kx < G::KW; ++kx)
                    for (int o = first; o < first + size; ++o)
                        *packed++ = flip ? w[((ic * G::OC + o) * G::KH + G::KH - 1 - ky) * G::KW +
                                             G::KW - 1 - kx]
                                         : w[((o * G::IC + ic) * G::KH + ky) * G::KW + kx];
        first += size;
    }
}

template <class G, int OG, int PT, class Store>
static INLINE void convolve_group(const V* x, const float* w, int oc, int oy, int ox,
                                  const Store& store) {
    V acc[OG][PT];
    UNROLL
    for (int o = 0; o < OG; ++o) {
        UNROLL
        for (int p = 0; p < PT; ++p) acc[o][p] = V{};
    }
    convolve_tile<G, OG, PT>(x + oy * G::SY * G::IW + ox * G::SX, w, acc);
    UNROLL
    for (int o = 0; o < OG; ++o) store(oc + o, oy, ox, acc[o]);
}

template <class G, int PT, class Store>
static INLINE void convolve_columns(const V* x, const float* w, int oy, int ox,
                                    const Store& store) {
    using Groups = Cut<G::OC, TILE_CHANNELS>;
    constexpr int taps = G::IC * G::KH * G::KW;
    int oc = 0;
    for (int group = 0; group < Groups::longer; ++group) {
        convolve_group<G, Groups::part + 1, PT>(x, w, oc, oy, ox, store);
        oc += Groups::part + 1;
        w += taps * (Groups::part + 1);
    }
    for (int group = Groups::longer; group < Groups::parts; ++group) {
        convolve_group<G, Groups::part, PT>(x, w, oc, oy, ox, store);
        oc += Groups::part;
        w += taps * Groups::part;
    }
}

// One block: x (IC, IH, IW) to `store(oc, oy, ox, values)`, PT columns at a time.
template <class G, class Store>
static void convolve(const V* x, const float* packed, const Store& store) {
    using Columns = Cut<G::OW, TILE_PIXELS>;
    for (int oy = 0; oy < G::OH; ++oy) {
        int ox = 0;
        for (int tile = 0; tile < Columns::longer; ++tile, ox += Columns::part + 1)
            convolve_columns<G, Columns::part + 1>(x, packed, oy, ox, store);
        for (int tile = Columns::longer; tile < Columns::parts; ++tile, ox += Columns::part)
            convolve_columns<G, Columns::part>(x, packed, oy, ox, store);
    }
}

// Gradient of the weights, lane by lane: sums[oc][ic][ky][kx] += x * g over one block.
// g has rows of GW vectors, channels of GH rows, and lies SY, SX apart in them.
template <class G, int GH, int GW, int OG, int IG>
static INLINE void correlate_tile(const V* x, const V* g, int rows, V* sums) {
    V acc[OG][IG][G::KW];
    UNROLL
    for (int o = 0; o < OG; ++o) {
        UNROLL
        for (int i = 0; i < IG; ++i) {
            UNROLL
            for (int k = 0; k < G::KW; ++k) acc[o][i][k] = sums[((o * G::IC + i) * G::KH) * G::KW + k];
        }
    }
    for (int row = 0; row < rows; ++row)
        for (int ox = 0; ox < G::OW; ++ox) {
            const V* px = x + row * G::SY * G::IW + ox * G::SX;
            const V* pg = g + row * G::SY * GW + ox * G::SX;
            V pixels[IG][G::KW];
            UNROLL
            for (int i = 0; i < IG; ++i) {
                UNROLL
                for (int k = 0; k < G::KW; ++k) pixels[i][k] = px[i * G::IH * G::IW + k];
            }
            UNROLL
            for (int o = 0; o < OG; ++o) {
                V gradient = pg[o * GH * GW];
                HOLD(gradient);
                UNROLL
                for (int i = 0; i < IG; ++i) {
                    UNROLL
                    for (int k = 0; k < G::KW; ++k) acc[o][i][k] += gradient * pixels[i][k];
                }
            }
        }
    UNROLL
    for (int o = 0; o < OG; ++o) {
        UNROLL
        for (int i = 0; i < IG; ++i) {
            UNROLL
            for (int k = 0; k < G::KW; ++k) sums[((o * G::IC + i) * G::KH) * G::KW + k] = acc[o][i][k];
        }
    }
}

template <class G, int GH, int GW, int OG>
static INLINE void correlate_group(const V* x, const V* g, int rows, V* sums) {
    constexpr int most = std::max(1, TILE / (OG * G::KW));
    using Inputs = Cut<G::IC, most>;
    for (int ky = 0; ky < G::KH; ++ky) {
        int ic = 0;
        for (int group = 0; group < Inputs::longer; ++group, ic += Inputs::part + 1)
            correlate_tile<G, GH, GW, OG, Inputs::part + 1>(
                x + (ic * G::IH + ky) * G::IW, g, rows, sums + (ic * G::KH + ky) * G::KW);
        for (int group = Inputs::longer; group < Inputs::parts; ++group, ic += Inputs::part)
            correlate_tile<G, GH, GW, OG, Inputs::part>(
                x + (ic * G::IH + ky) * G::IW, g, rows, sums + (ic * G::KH + ky) * G::KW);
    }
}

template <class G, int GH, int GW>
static void correlate(const V* x, const V* g, V* sums) {
    constexpr int most = std::max(1, std::min(8, TILE / G::KW));
    using Outputs = Cut<G::OC, most>;
    constexpr int step = std::max(1, 48 / G::OW);  // rows at a time: gradients stay in the L1 cache
    constexpr int taps = G::IC * G::KH * G::KW;
    for (int oy = 0; oy < G::OH; oy += step) {
        const int rows = std::min(step, G::OH - oy);
        const V* px = x + oy * G::SY * G::IW;
        const V* pg = g + oy * G::SY * GW;
        int oc = 0;
        for (int group = 0; group < Outputs::longer; ++group, oc += Outputs::part + 1)
            correlate_group<G, GH, GW, Outputs::part + 1>(px, pg + oc * GH * GW, rows,
                                                          sums + oc * taps);
        for (int group = Outputs::longer; group < Outputs::parts; ++group, oc += Outputs::part)
            correlate_group<G, GH, GW, Outputs::part>(px, pg + oc * GH * GW, rows,
                                                      sums + oc * taps);
    }
}

// ------------------------------------------------------------------------------------ stages

// What a normalisation (or none: scale 1, shift 0) keeps between forward and backward.
template <class S>
struct Normalisation {
    float mean[S::OC], inverse[S::OC], scale[S::OC], shift[S::OC];
};
template <class S>
static Normalisation<S> normalisation;

template <class S>
static void normalise_nothing() {
    std::fill_n(normalisation<S>.mean, S::OC, 0.0f);
    std::fill_n(normalisation<S>.scale, S::OC, 1.0f);
    std::fill_n(normalisation<S>.shift, S::OC, 0.0f);
}

template <class S>
static void set_normalisation(int c, double mean, double variance, const float* params) {
    auto& n = normalisation<S>;
    const double inverse = 1.0 / std::sqrt(variance + S::EPSILON);
    const double gamma = S::GAMMA >= 0 ? params[S::GAMMA + c] : 1.0;
    const double beta = S::BETA >= 0 ? params[S::BETA + c] : 0.0;
    n.mean[c] = mean;
    n.inverse[c] = inverse;
    n.scale[c] = gamma * inverse;
    n.shift[c] = beta - mean * gamma * inverse;
}

// Moments of a channel over the batch, image by image: the mean of each is exact enough for its
// own deviations, and images are joined in double precision (Chan, Golub and LeVeque 1983).
struct Moments {
    double sum = 0, squares = 0, deviations = 0;  // of the images' means; within images

    INLINE void add_block(const V* plane, int pixels, V total, const Batch& batch, int block) {
        const V mean = total * (1.0f / pixels);
        constexpr int chains = 4;  // sums that do not wait for each other
        V parts[chains] = {};
        for (int pixel = 0; pixel < pixels; pixel += chains) {
            UNROLL
            for (int i = 0; i < chains; ++i)
                if (pixel + i < pixels) {
                    const V difference = plane[pixel + i] - mean;
                    parts[i] += difference * difference;
                }
        }
        const V deviation = (parts[0] + parts[1]) + (parts[2] + parts[3]);
        for (int lane = 0; lane < std::min(LANES, batch.images - block * LANES); ++lane) {
            sum += mean[lane];
            squares += double(mean[lane]) * mean[lane];
            deviations += deviation[lane];
        }
    }
};

// From moments over the batch, and into the running statistics as torch updates them.
template <class S>
static void normalise_by_batch(const Moments* moments, const Batch& batch, const float* params,
                               float* buffers) {
    const double pixels = S::OH * S::OW, count = batch.images * pixels;
    for (int c = 0; c < S::OC; ++c) {
        const Moments& m = moments[c];
        const double mean = m.sum / batch.images;
        const double between = std::max(0.0, m.squares - batch.images * mean * mean);
        const double variance = (m.deviations + pixels * between) / count;
        set_normalisation<S>(c, mean, variance, params);
        float& running_mean = buffers[S::RUNNING_MEAN + c];
        float& running_variance = buffers[S::RUNNING_VARIANCE + c];
        running_mean += S::MOMENTUM * (mean - running_mean);
        running_variance += S::MOMENTUM * (variance * count / (count - 1) - running_variance);
    }
}

template <class S>
static void normalise_by_running(const float* params, const float* buffers) {
    for (int c = 0; c < S::OC; ++c)
        set_normalisation<S>(c, buffers[S::RUNNING_MEAN + c], buffers[S::RUNNING_VARIANCE + c],
                             params);
}

template <class S>
static INLINE U element_numbers(int block, int first) {
    U numbers;
    for (int lane = 0; lane < LANES; ++lane)
        numbers[lane] = uint32_t((block * LANES + lane) * S::DROPPED + first);
    return numbers;
}

template <class S>
static INLINE V drop(DropoutKey key, U lanes, int c, int pixel) {
    const int number = S::WHOLE_MAPS ? c : c * S::PH * S::PW + pixel;
    return draw_dropout(key, lanes + uint32_t(number), S::THRESHOLD, S::DROPOUT_SCALE);
}

// y to p and d for one block.
template <class S, bool training>
static void finish_block(const V* y, V* p, V* d, int block, DropoutKey key) {
    const U lanes = element_numbers<S>(block, 0);
    for (int c = 0; c < S::OC; ++c) {
        const float scale = normalisation<S>.scale[c], shift = normalisation<S>.shift[c];
        const bool lowest = scale < 0;
        for (int row = 0; row < S::PH; ++row)
            for (int column = 0; column < S::PW; ++column) {
                const int pixel = row * S::PW + column;
                V value;
                if constexpr (S::POOLS) {
                    const V* window = y + (c * S::OH + row * S::POOL_H) * S::OW + column * S::POOL_W;
                    value = window[0];
                    UNROLL
                    for (int i = 0; i < S::POOL_H; ++i) {
                        UNROLL
                        for (int j = 0; j < S::POOL_W; ++j) {
                            const V other = window[i * S::OW + j];
                            value = lowest ? (other < value ? other : value)
                                           : (other > value ? other : value);
                        }
                    }
                    p[c * S::PH * S::PW + pixel] = value;
                } else {
                    value = y[c * S::PH * S::PW + pixel];
                }
                if constexpr (S::NORMALISES) value = value * scale + shift;
                if constexpr (S::RECTIFIES_LATE) value = rectify(value);
                if constexpr (S::DROPS && training) value *= drop<S>(key, lanes, c, pixel);
                d[c * S::PH * S::PW + pixel] = value;
            }
    }
}

// Sums over the batch of the gradient of scale * p + shift, and of its products with p - mean.
template <class S>
struct Sums {
    double gradients[S::OC], products[S::OC];
};
template <class S>
static Sums<S> sums_of;

// One vector of the gradient of d to that of scale * p + shift.
template <class S>
static INLINE V pull_back_value(V gradient, V value, DropoutKey key, U lanes, int c, int pixel) {
    if constexpr (S::DROPS) gradient *= drop<S>(key, lanes, c, pixel);
    if constexpr (S::RECTIFIES_LATE) {
        const auto& n = normalisation<S>;
        gradient = value * n.scale[c] + n.shift[c] > 0.0f ? gradient : V{};
    }
    return gradient;
}

// The gradient of d, in place, to that of scale * p + shift, with its sums. Where the next stage
// is a convolution, it does this itself while it writes the gradient.
template <class S>
static void pull_back_output(const V* p, V* gd, const Batch& batch, DropoutKey key) {
    auto& sums = sums_of<S>;
    sums = {};
    for (int block = 0; block < batch.blocks; ++block) {
        const U lanes = element_numbers<S>(block, 0);
        const V mask = mask_of(batch, block);
        for (int c = 0; c < S::OC; ++c) {
            V sum{}, product{};
            const float mean = normalisation<S>.mean[c];
            const size_t plane = (size_t(block) * S::OC + c) * S::PH * S::PW;
            for (int pixel = 0; pixel < S::PH * S::PW; ++pixel) {
                const V value = p[plane + pixel];
                const V gradient =
                    pull_back_value<S>(gd[plane + pixel], value, key, lanes, c, pixel);
                if constexpr (S::DROPS || S::RECTIFIES_LATE) gd[plane + pixel] = gradient;
                sum += gradient;
                product += gradient * (value - mean);
            }
            sums.gradients[c] += sum_lanes(sum * mask);
            sums.products[c] += sum_lanes(product * mask);
        }
    }
}

// Coefficients of one channel: gradient of y = scale * dz - (offset + slope * (y - mean)).
struct Coefficients {
    float scale, offset, slope, mean;
};

template <class S>
static INLINE Coefficients coefficients_of(int c, double sum, double product, const Batch& batch,
                                           float* grads) {
    const auto& n = normalisation<S>;
    if constexpr (!S::NORMALISES) return {1.0f, 0.0f, 0.0f, 0.0f};
    const double count = double(batch.images) * S::OH * S::OW;
    const double dgamma = n.inverse[c] * product;
    if constexpr (S::GAMMA >= 0) grads[S::GAMMA + c] = dgamma;
    if constexpr (S::BETA >= 0) grads[S::BETA + c] = sum;
    const double slope = n.scale[c] * n.inverse[c] * dgamma / count;
    return {n.scale[c], float(n.scale[c] * sum / count), float(slope), n.mean[c]};
}

// Gradient of one block of what enters the first ReLU, into rows of GW and channels of GH.
template <class S, int GH, int GW, int SY, int SX>
static void pull_back_block(const V* y, const V* p, const V* gp, V* out, V mask,
                            const Coefficients* coefficients) {
    for (int c = 0; c < S::OC; ++c) {
        const Coefficients k = coefficients[c];
        const V scale = k.scale * mask, offset = k.offset * mask, slope = k.slope * mask;
        const V* py = y + c * S::OH * S::OW;
        V* plane = out + c * GH * GW;
        const auto put = [&](int row, int column, V value, V gradient) INLINE_LAMBDA {
            gradient *= scale;
            if constexpr (S::NORMALISES) gradient -= offset + slope * (value - k.mean);
            if constexpr (S::RECTIFIES) gradient = value > 0.0f ? gradient : V{};
            plane[row * SY * GW + column * SX] = gradient;
        };
        if constexpr (!S::POOLS) {
            for (int row = 0; row < S::OH; ++row)
                for (int column = 0; column < S::OW; ++column) {
                    const int pixel = row * S::OW + column;
                    put(row, column, py[pixel], gp[c * S::OH * S::OW + pixel]);
                }
        } else {
            for (int row = 0; row < S::PH; ++row)
                for (int column = 0; column < S::PW; ++column) {
                    const int pixel = (c * S::PH + row) * S::PW + column;
                    const V best = p[pixel], gradient = gp[pixel];
                    I open = I{} - 1;  // the first of equal values gets the gradient, as in torch
                    UNROLL
                    for (int i = 0; i < S::POOL_H; ++i) {
                        UNROLL
                        for (int j = 0; j < S::POOL_W; ++j) {
                            const int r = row * S::POOL_H + i, q = column * S::POOL_W + j;
                            const V value = py[r * S::OW + q];
                            const I hit = (value == best) & open;
                            open &= ~hit;
                            put(r, q, value, hit ? gradient : V{});
                        }
                    }
                }
            for (int row = 0; row < S::OH; ++row)  // rows and columns that pooling left over
                for (int column = row < S::PH * S::POOL_H ? S::PW * S::POOL_W : 0; column < S::OW;
                     ++column)
                    put(row, column, py[row * S::OW + column], V{});
        }
    }
}

template <int C, int H, int W, int P, int Q>
static void pad_block(const V* x, V* padded) {
    for (int c = 0; c < C; ++c)
        for (int row = 0; row < H; ++row)
            std::memcpy(padded + (c * (H + 2 * P) + row + P) * (W + 2 * Q) + Q,
                        x + (c * H + row) * W, W * sizeof(V));
}

// Stands for the stage before where there is none to pull a gradient back through.
struct Nothing {
    static constexpr int OC = 1, PH = 1, PW = 1;
    static constexpr uint32_t DROPPED = 0;
};

// A stage that begins with a convolution. S: IC, IH, IW, PY, PX (padding) and the rest.
template <class S>
struct ConvolutionStage {
    static constexpr int GH = S::IH + S::KH - 1, GW = S::IW + S::KW - 1;
    static constexpr bool PADS = S::PY > 0 || S::PX > 0;
    using Forward = Geometry<S::IC, S::OC, S::KH, S::KW, S::SY, S::SX, S::IH + 2 * S::PY,
                             S::IW + 2 * S::PX, S::OH, S::OW>;
    using Backward = Geometry<S::OC, S::IC, S::KH, S::KW, 1, 1, GH, GW, S::IH, S::IW>;
    static constexpr size_t WEIGHTS = size_t(S::OC) * S::IC * S::KH * S::KW;
    static constexpr size_t PADDED = size_t(S::IC) * (S::IH + 2 * S::PY) * (S::IW + 2 * S::PX);
    static constexpr size_t INPUT = size_t(S::IC) * S::IH * S::IW;
    static constexpr size_t SCRATCH =
        (PADS ? PADDED : 0) + size_t(S::OC) * GH * GW + WEIGHTS;  // in vectors

    template <bool training>
    static void forward(const V* x, V* y, V* scratch, const Batch& batch, const float* params,
                        Moments* moments) {
        static float packed[WEIGHTS];
        pack_weights<Forward>(params + S::WEIGHT, packed, false);
        if (PADS) std::fill_n(scratch, PADDED, V{});
        for (int block = 0; block < batch.blocks; ++block) {
            const V* input = x + block * INPUT;
            if (PADS) {
                pad_block<S::IC, S::IH, S::IW, S::PY, S::PX>(input, scratch);
                input = scratch;
            }
            V* output = y + size_t(block) * S::OC * S::OH * S::OW;
            V sum[S::OC] = {};
            convolve<Forward>(input, packed, [&](int oc, int oy, int ox, auto& values) INLINE_LAMBDA {
                constexpr int count = sizeof(values) / sizeof(V);
                V* place = output + (oc * S::OH + oy) * S::OW + ox;
                V s{};
                UNROLL
                for (int i = 0; i < count; ++i) {
                    V value = values[i];
                    if constexpr (S::BIAS >= 0) value += params[S::BIAS + oc];
                    if constexpr (S::RECTIFIES) value = rectify(value);
                    place[i] = value;
                    if constexpr (S::NORMALISES && training) s += value;
                }
                if constexpr (S::NORMALISES && training) sum[oc] += s;
            });
            if constexpr (S::NORMALISES && training)
                for (int c = 0; c < S::OC; ++c)
                    moments[c].add_block(output + c * S::OH * S::OW, S::OH * S::OW, sum[c], batch,
                                         block);
        }
    }

    // `Source` is the stage that gives x where its gradient is pulled back here, else `Nothing`;
    // `source_p` and `source_key` are its own.
    template <bool wants_input, bool adds, class Source>
    static void backward(const V* x, const V* y, const V* p, V* gd, V* gx, V* scratch,
                         const Batch& batch, const float* params, float* grads,
                         const Coefficients* coefficients, const V* source_p,
                         DropoutKey source_key) {
        static float packed[WEIGHTS];
        pack_weights<Backward>(params + S::WEIGHT, packed, true);
        V* padded = scratch;
        V* g = scratch + (PADS ? PADDED : 0);
        V* weights = g + size_t(S::OC) * GH * GW;
        std::fill_n(scratch, SCRATCH, V{});
        V bias[S::OC] = {};
        constexpr int top = S::KH - 1 - S::PY, left = S::KW - 1 - S::PX;
        V* first = g + top * GW + left;
        for (int block = 0; block < batch.blocks; ++block) {
            const size_t map = size_t(block) * S::OC * S::OH * S::OW;
            const size_t pooled = size_t(block) * S::OC * S::PH * S::PW;
            pull_back_block<S, GH, GW, S::SY, S::SX>(y + map, p + pooled, gd + pooled, first,
                                                     mask_of(batch, block), coefficients);
            const V* input = x + block * INPUT;
            if (PADS) {
                pad_block<S::IC, S::IH, S::IW, S::PY, S::PX>(input, padded);
                input = padded;
            }
            correlate<Forward, GH, GW>(input, first, weights);
            if constexpr (S::BIAS >= 0)
                for (int c = 0; c < S::OC; ++c)
                    for (int row = 0; row < GH; ++row)  // zero where there is no gradient
                        for (int column = 0; column < GW; ++column)
                            bias[c] += g[(c * GH + row) * GW + column];
            if constexpr (wants_input)
                write_gradient<adds, Source>(g, packed, gx + block * INPUT, block, batch,
                                             source_p + block * INPUT, source_key);
        }
        for (size_t i = 0; i < WEIGHTS; ++i) grads[S::WEIGHT + i] = sum_lanes(weights[i]);
        if constexpr (S::BIAS >= 0)
            for (int c = 0; c < S::OC; ++c) grads[S::BIAS + c] = sum_lanes(bias[c]);
    }

    template <bool adds, class Source>
    static INLINE void write_gradient(const V* g, const float* packed, V* gx, int block,
                                      const Batch& batch, const V* source_p,
                                      DropoutKey source_key) {
        constexpr bool pulls = !std::is_same_v<Source, Nothing>;
        const U lanes = element_numbers<Source>(block, 0);
        V sum[S::IC] = {}, product[S::IC] = {};
        convolve<Backward>(g, packed, [&](int ic, int oy, int ox, auto& values) INLINE_LAMBDA {
            constexpr int count = sizeof(values) / sizeof(V);
            const int first = oy * S::IW + ox;
            V* place = gx + ic * S::IH * S::IW + first;
            const float mean = pulls ? normalisation<Source>.mean[ic] : 0.0f;
            V s{}, q{};
            UNROLL
            for (int i = 0; i < count; ++i) {
                V value = values[i];
                if constexpr (adds) value += place[i];
                if constexpr (pulls) {
                    const V other = source_p[ic * S::IH * S::IW + first + i];
                    value = pull_back_value<Source>(value, other, source_key, lanes, ic, first + i);
                    s += value;
                    q += value * (other - mean);
                }
                place[i] = value;
            }
            if constexpr (pulls) {
                sum[ic] += s;
                product[ic] += q;
            }
        });
        if constexpr (pulls) {
            auto& sums = sums_of<Source>;
            if (block == 0) sums = {};
            const V mask = mask_of(batch, block);
            for (int c = 0; c < S::IC; ++c) {
                sums.gradients[c] += sum_lanes(sum[c] * mask);
                sums.products[c] += sum_lanes(product[c] * mask);
            }
        }
    }
};

template <class S>
static void add_moments(const V* y, const Batch& batch, Moments* moments) {
    constexpr int pixels = S::OH * S::OW;
    for (int block = 0; block < batch.blocks; ++block)
        for (int c = 0; c < S::OC; ++c) {
            const V* plane = y + (size_t(block) * S::OC + c) * pixels;
            V total{};
            for (int pixel = 0; pixel < pixels; ++pixel) total += plane[pixel];
            moments[c].add_block(plane, pixels, total, batch, block);
        }
}

// A stage that begins with a dense layer: IC features in, OC out, OH = OW = 1.
template <class S>
struct DenseStage {
    static constexpr int IC = S::IC, OC = S::OC, BLOCKS = TILE_PIXELS;
    static constexpr int VECTORS = ceil_div(IC, LANES), WIDE = TILE_PIXELS;
    // gradients [block][oc], images' features [image][feature], images' gradients [image][oc]
    static constexpr size_t SCRATCH =
        size_t(MOST_BLOCKS) * (OC + size_t(LANES) * VECTORS + OC);

    template <int OG, int BT>
    static INLINE void multiply(const V* x, const float* w, V (&acc)[OG][BT]) {
        for (int f = 0; f < IC; ++f) {
            V weights[OG];
            UNROLL
            for (int o = 0; o < OG; ++o) weights[o] = splat(w[o * IC + f]);
            UNROLL
            for (int b = 0; b < BT; ++b) {
                const V feature = x[b * IC + f];
                UNROLL
                for (int o = 0; o < OG; ++o) acc[o][b] += feature * weights[o];
            }
        }
    }

    template <int OG, int BT>
    static INLINE void multiply_tile(const V* x, const float* params, int oc, V* y) {
        V acc[OG][BT] = {};
        multiply<OG, BT>(x, params + S::WEIGHT + size_t(oc) * IC, acc);
        UNROLL
        for (int o = 0; o < OG; ++o) {
            UNROLL
            for (int b = 0; b < BT; ++b) {
                V value = acc[o][b];
                if constexpr (S::BIAS >= 0) value += params[S::BIAS + oc + o];
                if constexpr (S::RECTIFIES) value = rectify(value);
                y[b * OC + oc + o] = value;
            }
        }
    }

    template <int BT>
    static void multiply_blocks(const V* x, const float* params, V* y) {
        using Groups = Cut<OC, TILE_CHANNELS>;
        int oc = 0;
        for (int group = 0; group < Groups::longer; ++group, oc += Groups::part + 1)
            multiply_tile<Groups::part + 1, BT>(x, params, oc, y);
        for (int group = Groups::longer; group < Groups::parts; ++group, oc += Groups::part)
            multiply_tile<Groups::part, BT>(x, params, oc, y);
    }

    template <bool training>
    static void forward(const V* x, V* y, V*, const Batch& batch, const float* params,
                        Moments* moments) {
        int block = 0;
        for (; block + BLOCKS <= batch.blocks; block += BLOCKS)
            multiply_blocks<BLOCKS>(x + size_t(block) * IC, params, y + size_t(block) * OC);
        for (; block + 2 <= batch.blocks; block += 2)
            multiply_blocks<2>(x + size_t(block) * IC, params, y + size_t(block) * OC);
        for (; block < batch.blocks; ++block)
            multiply_blocks<1>(x + size_t(block) * IC, params, y + size_t(block) * OC);
        if constexpr (S::NORMALISES && training) add_moments<S>(y, batch, moments);
    }

    template <int FT, int BT>
    static INLINE void spread_tile(const V* g, const float* w, V* gx, bool adds) {
        V acc[FT][BT] = {};
        for (int o = 0; o < OC; ++o) {
            V gradients[BT];
            UNROLL
            for (int b = 0; b < BT; ++b) gradients[b] = g[b * OC + o];
            UNROLL
            for (int f = 0; f < FT; ++f) {
                const V weight = splat(w[size_t(o) * IC + f]);
                UNROLL
                for (int b = 0; b < BT; ++b) acc[f][b] += gradients[b] * weight;
            }
        }
        UNROLL
        for (int f = 0; f < FT; ++f) {
            UNROLL
            for (int b = 0; b < BT; ++b) {
                V& place = gx[b * IC + f];
                place = adds ? place + acc[f][b] : acc[f][b];
            }
        }
    }

    template <int BT>
    static void spread_blocks(const V* g, const float* w, V* gx, bool adds) {
        using Groups = Cut<IC, TILE_CHANNELS>;
        int f = 0;
        for (int group = 0; group < Groups::longer; ++group, f += Groups::part + 1)
            spread_tile<Groups::part + 1, BT>(g, w + f, gx + f, adds);
        for (int group = Groups::longer; group < Groups::parts; ++group, f += Groups::part)
            spread_tile<Groups::part, BT>(g, w + f, gx + f, adds);
    }

    // grads[oc][feature] over all images; features in vectors, WIDE of them at a time.
    template <int OG, int VT>
    static INLINE void correlate_tile(const V* x, const float* g, int images, int oc, int vector,
                                      float* grads) {
        V acc[OG][VT] = {};
        for (int n = 0; n < images; ++n) {
            const V* features = x + size_t(n) * VECTORS + vector;
            UNROLL
            for (int o = 0; o < OG; ++o) {
                const V gradient = splat(g[size_t(n) * OC + oc + o]);
                UNROLL
                for (int v = 0; v < VT; ++v) acc[o][v] += features[v] * gradient;
            }
        }
        UNROLL
        for (int o = 0; o < OG; ++o) {
            UNROLL
            for (int v = 0; v < VT; ++v) {
                const int first = (vector + v) * LANES;
                std::memcpy(grads + size_t(oc + o) * IC + first, &acc[o][v],
                            std::min(LANES, IC - first) * sizeof(float));
            }
        }
    }

    template <int VT>
    static void correlate_vectors(const V* x, const float* g, int images, int vector,
                                  float* grads) {
        using Groups = Cut<OC, TILE_CHANNELS>;
        int oc = 0;
        for (int group = 0; group < Groups::longer; ++group, oc += Groups::part + 1)
            correlate_tile<Groups::part + 1, VT>(x, g, images, oc, vector, grads);
        for (int group = Groups::longer; group < Groups::parts; ++group, oc += Groups::part)
            correlate_tile<Groups::part, VT>(x, g, images, oc, vector, grads);
    }

    template <bool wants_input, bool adds, class>
    static void backward(const V* x, const V* y, const V* p, V* gd, V* gx, V* scratch,
                         const Batch& batch, const float* params, float* grads,
                         const Coefficients* coefficients, const V*, DropoutKey) {
        V* g = scratch;
        V* features = g + size_t(MOST_BLOCKS) * OC;
        float* gradients = reinterpret_cast<float*>(features + size_t(MOST_BLOCKS) * LANES * VECTORS);
        for (int block = 0; block < batch.blocks; ++block)
            pull_back_block<S, 1, 1, 1, 1>(y + size_t(block) * OC, p + size_t(block) * OC,
                                           gd + size_t(block) * OC, g + size_t(block) * OC,
                                           mask_of(batch, block), coefficients);
        float* flat = reinterpret_cast<float*>(features);
        for (int n = 0; n < batch.images; ++n) {
            const int block = n / LANES, lane = n % LANES;
            float* row = flat + size_t(n) * VECTORS * LANES;
            for (int f = 0; f < VECTORS * LANES; ++f)
                row[f] = f < IC ? x[size_t(block) * IC + f][lane] : 0.0f;
            for (int o = 0; o < OC; ++o)
                gradients[size_t(n) * OC + o] = g[size_t(block) * OC + o][lane];
        }
        int vector = 0;
        for (; vector + WIDE <= VECTORS; vector += WIDE)
            correlate_vectors<WIDE>(features, gradients, batch.images, vector, grads + S::WEIGHT);
        for (; vector < VECTORS; ++vector)
            correlate_vectors<1>(features, gradients, batch.images, vector, grads + S::WEIGHT);
        if constexpr (S::BIAS >= 0)
            for (int o = 0; o < OC; ++o) {
                V sum{};
                for (int block = 0; block < batch.blocks; ++block) sum += g[size_t(block) * OC + o];
                grads[S::BIAS + o] = sum_lanes(sum);
            }
        if constexpr (wants_input) {
            const float* w = params + S::WEIGHT;
            int block = 0;
            for (; block + BLOCKS <= batch.blocks; block += BLOCKS)
                spread_blocks<BLOCKS>(g + size_t(block) * OC, w, gx + size_t(block) * IC, adds);
            for (; block < batch.blocks; ++block)
                spread_blocks<1>(g + size_t(block) * OC, w, gx + size_t(block) * IC, adds);
        }
    }
};

// A stage without a layer of its own.
template <class S>
struct PlainStage {
    static constexpr size_t SCRATCH = size_t(S::OC) * S::OH * S::OW;

    template <bool training>
    static void forward(const V* x, V* y, V*, const Batch& batch, const float*, Moments* moments) {
        const size_t count = size_t(batch.blocks) * SCRATCH;
        for (size_t i = 0; i < count; ++i) y[i] = S::RECTIFIES ? rectify(x[i]) : x[i];
        if constexpr (S::NORMALISES && training) add_moments<S>(y, batch, moments);
    }

    template <bool wants_input, bool adds, class>
    static void backward(const V*, const V* y, const V* p, V* gd, V* gx, V* scratch,
                         const Batch& batch, const float*, float*,
                         const Coefficients* coefficients, const V*, DropoutKey) {
        if constexpr (!wants_input) return;
        for (int block = 0; block < batch.blocks; ++block) {
            const size_t pooled = size_t(block) * S::OC * S::PH * S::PW;
            pull_back_block<S, S::OH, S::OW, 1, 1>(y + block * SCRATCH, p + pooled, gd + pooled,
                                                   scratch, mask_of(batch, block), coefficients);
            for (size_t i = 0; i < SCRATCH; ++i) {
                V& place = gx[block * SCRATCH + i];
                place = adds ? place + scratch[i] : scratch[i];
            }
        }
    }
};

template <class S, class Layer, bool training>
static void forward_stage(const V* x, V* y, V* p, V* d, V* scratch, const Batch& batch,
                          const float* params, float* buffers, DropoutKey key) {
    Moments moments[S::OC];
    Layer::template forward<training>(x, y, scratch, batch, params, moments);
    if constexpr (!S::NORMALISES)
        normalise_nothing<S>();
    else if constexpr (training)
        normalise_by_batch<S>(moments, batch, params, buffers);
    else
        normalise_by_running<S>(params, buffers);
    if constexpr (S::FINISHES)
        for (int block = 0; block < batch.blocks; ++block) {
            const size_t pooled = size_t(block) * S::OC * S::PH * S::PW;
            finish_block<S, training>(y + size_t(block) * S::OC * S::OH * S::OW, p + pooled,
                                      d + pooled, block, key);
        }
}

// `pulled`: the stage after has pulled the gradient back through dropout and late ReLU already.
template <class S, class Layer, bool pulled, bool wants_input, bool adds, class Source>
static void backward_stage(const V* x, const V* y, const V* p, V* gd, V* gx, V* scratch,
                           const Batch& batch, const float* params, float* grads, DropoutKey key,
                           const V* source_p, DropoutKey source_key) {
    if constexpr (!pulled && (S::NORMALISES || S::DROPS || S::RECTIFIES_LATE))
        pull_back_output<S>(p, gd, batch, key);
    Coefficients coefficients[S::OC];
    for (int c = 0; c < S::OC; ++c)
        coefficients[c] = coefficients_of<S>(c, sums_of<S>.gradients[c], sums_of<S>.products[c],
                                             batch, grads);
    Layer::template backward<wants_input, adds, Source>(x, y, p, gd, gx, scratch, batch, params,
                                                        grads, coefficients, source_p, source_key);
}

template <int C, int H, int W, int KH, int KW, int SY, int SX, int OH, int OW>
struct AveragePooling {
    static void forward(const V* x, V* d, const Batch& batch) {
        for (int plane = 0; plane < batch.blocks * C; ++plane)
            for (int row = 0; row < OH; ++row)
                for (int column = 0; column < OW; ++column) {
                    V sum{};
                    for (int i = 0; i < KH; ++i)
                        for (int j = 0; j < KW; ++j)
                            sum += x[(size_t(plane) * H + row * SY + i) * W + column * SX + j];
                    d[(size_t(plane) * OH + row) * OW + column] = sum * (1.0f / (KH * KW));
                }
    }
    template <bool adds>
    static void backward(const V* gd, V* gx, const Batch& batch) {
        if (!adds) std::fill_n(gx, size_t(batch.blocks) * C * H * W, V{});
        for (int plane = 0; plane < batch.blocks * C; ++plane)
            for (int row = 0; row < OH; ++row)
                for (int column = 0; column < OW; ++column) {
                    const V share = gd[(size_t(plane) * OH + row) * OW + column] * (1.0f / (KH * KW));
                    for (int i = 0; i < KH; ++i)
                        for (int j = 0; j < KW; ++j)
                            gx[(size_t(plane) * H + row * SY + i) * W + column * SX + j] += share;
                }
    }
};

static void add_values(const V* a, const V* b, V* d, size_t count) {
    for (size_t i = 0; i < count; ++i) d[i] = a[i] + b[i];
}
template <bool adds>
static void pass_gradient(const V* gd, V* gx, size_t count) {
    for (size_t i = 0; i < count; ++i) gx[i] = adds ? gx[i] + gd[i] : gd[i];
}

// ------------------------------------------------------------------------------------ images

// Normalised pixels of chosen images into lanes, each moved by its own affine map of output to
// input coordinates in [-1, 1] (`theta`, 6 numbers an image; null: not moved), as
// torch.nn.functional.grid_sample without aligned corners does; outside the image is black.
static void place_images(const uint8_t* images, const int64_t* index, const float* theta,
                         bool bilinear, int count, int side, float mean, float deviation, V* x) {
    const int pixels = side * side;
    const float black = (0.0f - mean) / deviation;
    float levels[256];
    for (int level = 0; level < 256; ++level) levels[level] = (level / 255.0f - mean) / deviation;
    float* out = reinterpret_cast<float*>(x);
    const int blocks = (count + LANES - 1) / LANES;
    for (int n = count; n < blocks * LANES; ++n)
        for (int pixel = 0; pixel < pixels; ++pixel)
            out[(size_t(n / LANES) * pixels + pixel) * LANES + n % LANES] = 0.0f;
    for (int n = 0; n < count; ++n) {
        const uint8_t* image = images + size_t(index[n]) * pixels;
        float* lane = out + size_t(n / LANES) * pixels * LANES + n % LANES;
        if (!theta) {
            for (int pixel = 0; pixel < pixels; ++pixel) lane[pixel * LANES] = levels[image[pixel]];
            continue;
        }
        const float* t = theta + 6 * n;
        const auto level = [&](int row, int column) INLINE_LAMBDA {
            const bool inside = unsigned(row) < unsigned(side) && unsigned(column) < unsigned(side);
            return inside ? levels[image[row * side + column]] : black;
        };
        for (int row = 0; row < side; ++row) {
            const float v = (2 * row + 1.0f) / side - 1.0f;
            for (int column = 0; column < side; ++column) {
                const float u = (2 * column + 1.0f) / side - 1.0f;
                const float c = ((t[0] * u + t[1] * v + t[2] + 1.0f) * side - 1.0f) / 2.0f;
                const float r = ((t[3] * u + t[4] * v + t[5] + 1.0f) * side - 1.0f) / 2.0f;
                float value;
                if (bilinear) {
                    const float c0 = std::floor(c), r0 = std::floor(r);
                    const float wc = c - c0, wr = r - r0;
                    const int ic = int(c0), ir = int(r0);
                    value = (1 - wr) * ((1 - wc) * level(ir, ic) + wc * level(ir, ic + 1)) +
                            wr * ((1 - wc) * level(ir + 1, ic) + wc * level(ir + 1, ic + 1));
                } else {
                    value = level(int(std::nearbyint(r)), int(std::nearbyint(c)));
                }
                lane[(row * side + column) * LANES] = value;
            }
        }
    }
}

static void place_floats(const float* source, int count, int features, V* x) {
    float* out = reinterpret_cast<float*>(x);
    const int blocks = (count + LANES - 1) / LANES;
    for (int n = 0; n < blocks * LANES; ++n)
        for (int f = 0; f < features; ++f)
            out[(size_t(n / LANES) * features + f) * LANES + n % LANES] =
                n < count ? source[size_t(n) * features + f] : 0.0f;
}

static void fetch_floats(const V* x, int count, int features, float* target) {
    const float* in = reinterpret_cast<const float*>(x);
    for (int n = 0; n < count; ++n)
        for (int f = 0; f < features; ++f)
            target[size_t(n) * features + f] =
                in[(size_t(n / LANES) * features + f) * LANES + n % LANES];
}

}  // namespace
