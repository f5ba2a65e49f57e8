// y[row] += scale * B[slot(row)] @ (A[slot(row)] @ x[row]) for the adapter rows of one linear layer, all slices at once.
//
// The operation is the SGMV of Punica (arXiv 2310.18547), as S-LoRA uses it for adapters that share a batch: rows are
// grouped by adapter, so each adapter's weights are read once per group, not once per row. Rows of the base model are
// in no group and are never read nor written. Two phases with one barrier between them:
//   shrink  h[i, r]  = bf16(scale * sum_d x[rows[i], d] * A[slot, r, d])      4x4 tiles of 16-lane dot products
//   expand  y[row, o] = bf16(y[row, o] + sum_r h[i, r] * B[slot, o, r])       4x32 tiles, B transposed in registers
// Sums are float32; h is rounded to bf16, as vLLM's own operators round it before the second product.
//
// Threads come from whichever OpenMP runtime torch has loaded: the library is linked by soname against libgomp.so.1,
// and libiomp5 answers the same entry points where it is preloaded, so no second pool of threads appears.
#include <immintrin.h>
#include <omp.h>
#include <stdint.h>

#include <algorithm>
#include <vector>

typedef uint16_t bf16;

constexpr int ROW_BLOCK = 64;   // rows of one group worked on together: their x stays in the second-level cache
constexpr int OUT_CHUNK = 256;  // outputs per unit of work in expand
constexpr int RANK_TILE = 4;
constexpr int ROW_TILE = 4;
constexpr int MAX_RANK = 512;

struct Slice {
    const bf16* a;       // (slots, rank, n_in)
    const bf16* b;       // (slots, n_out, rank)
    int64_t out_offset;  // first column of y that this slice adds to
    int64_t n_out;
};

struct Layer {
    const Slice* slices;
    int64_t n_slices, rank, n_in;
};

struct Groups {
    const int64_t* rows;    // (n_rows,) rows of x and y, those of one adapter side by side
    const int64_t* bounds;  // (n_groups + 1,) where each adapter's rows begin in `rows`
    const int64_t* slots;   // (n_groups,)
    int64_t n_groups, n_rows;
};

struct RowBlock {
    int64_t slot, begin, end;
};

static inline __m512bh load_bf16(const bf16* p, __mmask32 mask) {
    return (__m512bh)_mm512_maskz_loadu_epi16(mask, p);
}

static inline __m128 fold(__m512 v) {
    __m256 half = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    return _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
}

template <int M>
static void shrink_tile(const bf16* const* x, const bf16* a, int64_t n_in, int64_t rank, float scale, bf16* h) {
    __m512 acc[M][RANK_TILE];
    for (int m = 0; m < M; m++)
        for (int r = 0; r < RANK_TILE; r++) acc[m][r] = _mm512_setzero_ps();
    for (int64_t d = 0; d < n_in; d += 32) {
        __mmask32 mask = n_in - d >= 32 ? 0xffffffffu : (1u << (n_in - d)) - 1;
        __m512bh weight[RANK_TILE];
        for (int r = 0; r < RANK_TILE; r++) weight[r] = load_bf16(a + r * n_in + d, mask);
        for (int m = 0; m < M; m++) {
            __m512bh value = load_bf16(x[m] + d, mask);
            for (int r = 0; r < RANK_TILE; r++) acc[m][r] = _mm512_dpbf16_ps(acc[m][r], value, weight[r]);
        }
    }
    for (int m = 0; m < M; m++) {
        __m128 sums = _mm_hadd_ps(_mm_hadd_ps(fold(acc[m][0]), fold(acc[m][1])),
                                  _mm_hadd_ps(fold(acc[m][2]), fold(acc[m][3])));
        __m128bh rounded = _mm_cvtneps_pbh(_mm_mul_ps(sums, _mm_set1_ps(scale)));
        _mm_storel_epi64((__m128i*)(h + m * rank), (__m128i)rounded);
    }
}

static void shrink(const RowBlock& block, const Slice& slice, const Layer& layer, const Groups& groups, int64_t r,
                   const bf16* x, int64_t x_stride, float scale, bf16* h) {
    const bf16* a = slice.a + (block.slot * layer.rank + r) * layer.n_in;
    for (int64_t i = block.begin; i < block.end; i += ROW_TILE) {
        const bf16* rows[ROW_TILE];
        int m = (int)std::min<int64_t>(ROW_TILE, block.end - i);
        for (int k = 0; k < m; k++) rows[k] = x + groups.rows[i + k] * x_stride;
        bf16* out = h + i * layer.rank + r;
        switch (m) {
            case 4: shrink_tile<4>(rows, a, layer.n_in, layer.rank, scale, out); break;
            case 3: shrink_tile<3>(rows, a, layer.n_in, layer.rank, scale, out); break;
            case 2: shrink_tile<2>(rows, a, layer.n_in, layer.rank, scale, out); break;
            default: shrink_tile<1>(rows, a, layer.n_in, layer.rank, scale, out);
        }
    }
}

// 16 rows of `pairs` (<= 16) 32-bit pairs -> `pairs` rows of 16; rows at and after n are taken as zero, never read.
static void transpose_16(const bf16* b, int64_t rank, int n, int pairs, int32_t* out, int out_stride) {
    __m512i v[16], t[16];
    __mmask16 mask = pairs >= 16 ? 0xffff : (__mmask16)((1u << pairs) - 1);
    for (int i = 0; i < 16; i++)
        v[i] = i < n ? _mm512_maskz_loadu_epi32(mask, b + i * rank) : _mm512_setzero_si512();
    for (int i = 0; i < 8; i++) {
        t[2 * i] = _mm512_unpacklo_epi32(v[2 * i], v[2 * i + 1]);
        t[2 * i + 1] = _mm512_unpackhi_epi32(v[2 * i], v[2 * i + 1]);
    }
    for (int i = 0; i < 4; i++) {
        v[4 * i] = _mm512_unpacklo_epi64(t[4 * i], t[4 * i + 2]);
        v[4 * i + 1] = _mm512_unpackhi_epi64(t[4 * i], t[4 * i + 2]);
        v[4 * i + 2] = _mm512_unpacklo_epi64(t[4 * i + 1], t[4 * i + 3]);
        v[4 * i + 3] = _mm512_unpackhi_epi64(t[4 * i + 1], t[4 * i + 3]);
    }
    for (int i = 0; i < 4; i++) {
        t[i] = _mm512_shuffle_i32x4(v[i], v[i + 4], 0x88);
        t[i + 4] = _mm512_shuffle_i32x4(v[i], v[i + 4], 0xdd);
        t[i + 8] = _mm512_shuffle_i32x4(v[i + 8], v[i + 12], 0x88);
        t[i + 12] = _mm512_shuffle_i32x4(v[i + 8], v[i + 12], 0xdd);
    }
    for (int i = 0; i < 8; i++) {
        v[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
        v[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
    }
    for (int p = 0; p < pairs; p++) _mm512_store_si512(out + p * out_stride, v[p]);
}

template <int M>
static void expand_tile(const int32_t* bt, int pairs, const bf16* h, int64_t rank, bf16* const* y, __mmask32 mask) {
    __m512 low[M], high[M];
    for (int m = 0; m < M; m++) low[m] = high[m] = _mm512_setzero_ps();
    for (int p = 0; p < pairs; p++) {
        __m512bh b_low = (__m512bh)_mm512_load_si512(bt + p * 32);
        __m512bh b_high = (__m512bh)_mm512_load_si512(bt + p * 32 + 16);
        for (int m = 0; m < M; m++) {
            int32_t pair;
            __builtin_memcpy(&pair, h + m * rank + 2 * p, sizeof pair);
            __m512bh value = (__m512bh)_mm512_set1_epi32(pair);
            low[m] = _mm512_dpbf16_ps(low[m], value, b_low);
            high[m] = _mm512_dpbf16_ps(high[m], value, b_high);
        }
    }
    for (int m = 0; m < M; m++) {
        __m512i old = _mm512_maskz_loadu_epi16(mask, y[m]);
        __m512i old_low = _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm512_castsi512_si256(old)), 16);
        __m512i old_high = _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64(old, 1)), 16);
        __m512bh sum = _mm512_cvtne2ps_pbh(_mm512_add_ps(high[m], _mm512_castsi512_ps(old_high)),
                                           _mm512_add_ps(low[m], _mm512_castsi512_ps(old_low)));
        _mm512_mask_storeu_epi16(y[m], mask, (__m512i)sum);
    }
}

static void expand(const RowBlock& block, const Slice& slice, const Layer& layer, const Groups& groups, int64_t chunk,
                   const bf16* h, bf16* y, int64_t y_stride) {
    alignas(64) int32_t bt[MAX_RANK / 2 * 32];
    int pairs = (int)layer.rank / 2;
    int64_t last = std::min(slice.n_out, (chunk + 1) * OUT_CHUNK);
    for (int64_t o = chunk * OUT_CHUNK; o < last; o += 32) {
        const bf16* b = slice.b + (block.slot * slice.n_out + o) * layer.rank;
        int n = (int)std::min<int64_t>(32, slice.n_out - o);
        for (int p = 0; p < pairs; p += 16) {
            int count = std::min(16, pairs - p);
            transpose_16(b + 2 * p, layer.rank, std::min(n, 16), count, bt + p * 32, 32);
            transpose_16(b + 16 * layer.rank + 2 * p, layer.rank, std::max(n - 16, 0), count, bt + p * 32 + 16, 32);
        }
        __mmask32 mask = n == 32 ? 0xffffffffu : (1u << n) - 1;
        for (int64_t i = block.begin; i < block.end; i += ROW_TILE) {
            bf16* rows[ROW_TILE];
            int m = (int)std::min<int64_t>(ROW_TILE, block.end - i);
            for (int k = 0; k < m; k++) rows[k] = y + groups.rows[i + k] * y_stride + slice.out_offset + o;
            const bf16* hidden = h + i * layer.rank;
            switch (m) {
                case 4: expand_tile<4>(bt, pairs, hidden, layer.rank, rows, mask); break;
                case 3: expand_tile<3>(bt, pairs, hidden, layer.rank, rows, mask); break;
                case 2: expand_tile<2>(bt, pairs, hidden, layer.rank, rows, mask); break;
                default: expand_tile<1>(bt, pairs, hidden, layer.rank, rows, mask);
            }
        }
    }
}

// Work item k of a phase is (row block, slice, part); parts differ per slice, so the pairs are listed once per call.
struct Unit {
    int32_t block, slice;
    int64_t part;
};

extern "C" void pointsman_lora_add(const Layer* layer, const Groups* groups, const bf16* x, int64_t x_stride, bf16* y,
                                   int64_t y_stride, float scale) {
    // Kept between calls, so that a decode step allocates nothing; thread_local because two engines may share a process.
    static thread_local std::vector<RowBlock> blocks;
    static thread_local std::vector<Unit> shrinks, expands;
    static thread_local std::vector<bf16> hidden;
    blocks.clear(), shrinks.clear(), expands.clear();
    for (int64_t g = 0; g < groups->n_groups; g++)
        for (int64_t i = groups->bounds[g]; i < groups->bounds[g + 1]; i += ROW_BLOCK)
            blocks.push_back({groups->slots[g], i, std::min<int64_t>(i + ROW_BLOCK, groups->bounds[g + 1])});
    for (int32_t k = 0; k < (int32_t)blocks.size(); k++)
        for (int32_t s = 0; s < (int32_t)layer->n_slices; s++) {
            for (int64_t r = 0; r < layer->rank; r += RANK_TILE) shrinks.push_back({k, s, r});
            for (int64_t c = 0; c * OUT_CHUNK < layer->slices[s].n_out; c++) expands.push_back({k, s, c});
        }
    hidden.resize(layer->n_slices * groups->n_rows * layer->rank);

    const RowBlock* block = blocks.data();
    const Unit *shrink_unit = shrinks.data(), *expand_unit = expands.data();
    const int64_t n_shrinks = (int64_t)shrinks.size(), n_expands = (int64_t)expands.size();
    bf16* h = hidden.data();
    const int64_t h_slice = groups->n_rows * layer->rank;
    const int threads = (int)std::min<int64_t>(omp_get_max_threads(), std::max(n_shrinks, n_expands));
#pragma omp parallel num_threads(threads)
    {
#pragma omp for schedule(static)
        for (int64_t k = 0; k < n_shrinks; k++) {
            const Unit& u = shrink_unit[k];
            shrink(block[u.block], layer->slices[u.slice], *layer, *groups, u.part, x, x_stride, scale,
                   h + u.slice * h_slice);
        }
#pragma omp for schedule(static) nowait
        for (int64_t k = 0; k < n_expands; k++) {
            const Unit& u = expand_unit[k];
            expand(block[u.block], layer->slices[u.slice], *layer, *groups, u.part, h + u.slice * h_slice, y, y_stride);
        }
    }
}
