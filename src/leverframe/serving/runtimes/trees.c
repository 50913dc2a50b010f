/* Scores boosted trees by intersecting bit masks of the leaves that are still possible, instead of walking each tree.
 *
 * Every table was made and checked by trees_table.py, which also keeps the memory; this file reads only. A row's columns become positions:
 * how many of the model's distinct thresholds lie below the value (two further positions stand for zero and for NaN), or the category.
 * Trees stand in blocks whose masks fill one line of 64 bytes. In a block, each position of a feature names the line that holds, for each
 * tree, the leaves that this feature leaves possible; the AND of one line a feature has the answer as its lowest bit.
 *
 * Source of the method: Lucchese et al., "QuickScorer", SIGIR 2015; Ye et al., "RapidScorer", KDD 2018 (equal conditions merged).
 * The sum runs in tree order in double, and the logistic function is spelt, as LightGBM 4 does: the results are its very bits.
 */
#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__) && defined(__gnu_linux__) && !defined(ONE_TARGET)
#define FOR_EACH_CPU __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define FOR_EACH_CPU
#endif
#define INLINE static inline __attribute__((always_inline))

enum { LINE = 64, HALF = LINE / 2, TILE = 128, TOGETHER = 4 };
enum { FEATURES_MAX = 512 }; /* as in trees_table.py: bounds the stack to 256 KiB */
enum { IDENTITY = 0, LOGISTIC = 1 };

/* Half lines: what GCC makes of whole ones on a processor without 64-byte registers is six times slower. */
typedef uint32_t half32 __attribute__((vector_size(HALF)));
typedef uint64_t half64 __attribute__((vector_size(HALF)));

typedef struct {
    int64_t columns;            /* width of a row */
    int64_t features;           /* columns that the trees read; at most FEATURES_MAX */
    int64_t positions;          /* of all features together */
    int64_t trees;
    int64_t wide;               /* 0: masks of 32 bits, 16 trees a line; 1: of 64 bits, 8 trees */
    int64_t transform;          /* IDENTITY or LOGISTIC */
    double sigmoid;             /* factor inside the logistic function */
    const int32_t *column;      /* [features] */
    const int32_t *categories;  /* [features] 0: numbers; else categories 0 .. n - 1 have a position each, and others one together */
    const int32_t *first;       /* [features] its first position */
    const int32_t *start;       /* [features + 1] its thresholds */
    const double *threshold;    /* ascending and distinct within a feature */
    const uint16_t *line_of;    /* [blocks, positions] line within the block */
    const int64_t *block_line;  /* [blocks] first line of the block */
    const unsigned char *lines; /* [lines, LINE], aligned to LINE */
    const double *leaf;         /* [trees, bits of a mask] from the leftmost leaf on */
} Model;

/* Values that LightGBM's C interface leaves out of a row, and so reads as 0.0. */
INLINE double cleaned(double value) { return fabs(value) <= (double)1e-35f ? 0.0 : value; }

INLINE double value_at(const unsigned char *at) {
    double value;
    memcpy(&value, at, sizeof value);
    return cleaned(value);
}

INLINE uint32_t category(double value, uint32_t categories) {
    /* Negative ones, NaN and those beyond the last belong to no set; truncation as in a C cast. */
    return value > -1.0 && value < (double)categories ? (uint32_t)(int32_t)value : categories;
}

/* How many of `count` ascending thresholds lie below the value, without a branch that the processor could guess wrongly. */
INLINE uint32_t below(const double *threshold, uint32_t count, double value) {
    const double *at = threshold;
    for (uint32_t left = count; left > 1; left -= left / 2) {
        const uint64_t half = left / 2;
        at += half & -(uint64_t)(at[half - 1] < value);
    }
    return (uint32_t)(at - threshold) + (*at < value);
}

/* Row r's value in a column lies at columns[column] + r * stride: a matrix and columns of their own are read alike. */
typedef struct {
    const unsigned char *const *columns;
    int64_t stride;
} Values;

/* The position of one value. */
INLINE uint32_t position_of(const Model *m, int64_t f, double value) {
    const uint32_t first = (uint32_t)m->first[f], all = (uint32_t)(m->start[f + 1] - m->start[f]);
    if (m->categories[f]) return first + category(value, (uint32_t)m->categories[f]);
    if (value == 0.0) return first + all + 1;
    if (value != value) return first + all + 2;
    return first + below(m->threshold + m->start[f], all, value);
}

/* positions [features, TILE] of rows from `from` on. All rows search in step, so that one's loads hide another's. */
INLINE void find_positions(const Model *m, Values values, int64_t from, int count, uint32_t *positions) {
    for (int64_t f = 0; f < m->features; f++) {
        double value[TILE];
        uint32_t *at = positions + f * TILE;
        const uint32_t first = (uint32_t)m->first[f];
        const unsigned char *column = values.columns[m->column[f]] + from * values.stride;
        for (int r = 0; r < count; r++) value[r] = value_at(column + r * values.stride);
        if (m->categories[f]) {
            for (int r = 0; r < count; r++) at[r] = first + category(value[r], (uint32_t)m->categories[f]);
            continue;
        }
        const double *threshold = m->threshold + m->start[f];
        const uint32_t all = (uint32_t)(m->start[f + 1] - m->start[f]);
        for (int r = 0; r < count; r++) at[r] = 0;
        for (uint32_t left = all; left > 1; left -= left / 2) {
            const uint32_t half = left / 2;
            for (int r = 0; r < count; r++) at[r] += threshold[at[r] + half - 1] < value[r] ? half : 0;
        }
        for (int r = 0; r < count; r++) {
            uint32_t found = at[r] + (threshold[at[r]] < value[r]);
            if (value[r] == 0.0) found = all + 1;
            if (value[r] != value[r]) found = all + 2;
            at[r] = first + found;
        }
    }
}

/* A block's tables, looked up once for all rows: the empty statement keeps GCC from adding the block's offset at every access again. */
typedef struct {
    int64_t number;
    const uint16_t *line_of;
    const void *lines;
} Block;

INLINE Block block_at(const Model *m, int64_t number) {
    Block b = {number, m->line_of + number * m->positions, m->lines + LINE * m->block_line[number]};
    __asm__("" : "+r"(b.line_of), "+r"(b.lines));
    return b;
}

/* NAME adds a block's leaves to the sums of ROWS rows, whose positions stand `apart` from one feature to the next. Rows go together so that
 * one's additions, which must wait for each other, run beside another's. The empty statement keeps the masks in memory, from where GCC
 * counts zeros directly; it would unpack registers instead, which is slower. */
#define SCORE_BLOCK(NAME, ROWS, HALF_LINE, MASK, BITS, CTZ)                                                               \
    INLINE void NAME(const Model *m, Block b, const uint32_t *positions, int64_t apart, double *sums) {                   \
        enum { LANES = LINE / sizeof(MASK) };                                                                             \
        const HALF_LINE *lines = b.lines;                                                                                 \
        const double *leaf = m->leaf + b.number * LANES * BITS;                                                           \
        const int64_t rest = m->trees - b.number * LANES, features = m->features;                                         \
        HALF_LINE low[ROWS], high[ROWS];                                                                                  \
        MASK mask[ROWS][LANES];                                                                                           \
        double sum[ROWS];                                                                                                 \
        EACH(ROWS) low[r] = high[r] = ~(HALF_LINE){0}, sum[r] = sums[r];                                                  \
        for (int64_t f = 0; f < features; f++)                                                                            \
            EACH(ROWS) {                                                                                                  \
                const HALF_LINE *line = lines + 2 * (uint32_t)b.line_of[positions[f * apart + r]];                        \
                low[r] &= line[0];                                                                                        \
                high[r] &= line[1];                                                                                       \
            }                                                                                                             \
        EACH(ROWS) {                                                                                                      \
            memcpy(mask[r], low + r, HALF);                                                                               \
            memcpy(mask[r] + LANES / 2, high + r, HALF);                                                                  \
        }                                                                                                                 \
        __asm__("" : "+m"(mask));                                                                                         \
        if (rest >= LANES)                                                                                                \
            _Pragma("GCC unroll 16") for (int tree = 0; tree < LANES; tree++)                                             \
                EACH(ROWS) sum[r] += leaf[tree * BITS + CTZ(mask[r][tree])];                                              \
        else                                                                                                              \
            for (int tree = 0; tree < rest; tree++)                                                                       \
                EACH(ROWS) sum[r] += leaf[tree * BITS + CTZ(mask[r][tree])];                                              \
        EACH(ROWS) sums[r] = sum[r];                                                                                      \
    }
#define EACH(ROWS) _Pragma("GCC unroll 4") for (int r = 0; r < ROWS; r++)
SCORE_BLOCK(score_one_32, 1, half32, uint32_t, 32, __builtin_ctz)
SCORE_BLOCK(score_one_64, 1, half64, uint64_t, 64, __builtin_ctzll)
SCORE_BLOCK(score_some_32, TOGETHER, half32, uint32_t, 32, __builtin_ctz)
SCORE_BLOCK(score_some_64, TOGETHER, half64, uint64_t, 64, __builtin_ctzll)

INLINE double transformed(const Model *m, double sum) { return m->transform == LOGISTIC ? 1.0 / (1.0 + exp(-m->sigmoid * sum)) : sum; }

INLINE int64_t blocks(const Model *m) { return m->wide ? (m->trees + 7) / 8 : (m->trees + 15) / 16; }

/* Which Model and which calls these are: the caller goes elsewhere when it knows others. To be raised with every change of either. */
int64_t leverframe_trees_interface(void) { return 2; }

/* The score of one row of m->columns doubles. */
FOR_EACH_CPU double leverframe_trees_row(const Model *m, const unsigned char *row) {
    uint32_t positions[FEATURES_MAX];
    double sum = 0.0;
    for (int64_t f = 0; f < m->features; f++) positions[f] = position_of(m, f, value_at(row + 8 * m->column[f]));
    for (int64_t block = 0; block < blocks(m); block++) {
        if (m->wide)
            score_one_64(m, block_at(m, block), positions, 1, &sum);
        else
            score_one_32(m, block_at(m, block), positions, 1, &sum);
    }
    return transformed(m, sum);
}

/* scores [count] of rows whose column c starts at columns[c], each value `stride` bytes after the one before. */
FOR_EACH_CPU void leverframe_trees_rows(
    const Model *m, const unsigned char *const *columns, int64_t stride, int64_t count, double *scores) {
    const Values values = {columns, stride};
    uint32_t positions[TILE * FEATURES_MAX];
    for (int64_t from = 0; from < count; from += TILE) {
        const int rows = count - from < TILE ? (int)(count - from) : TILE;
        double sums[TILE] = {0};
        find_positions(m, values, from, rows, positions);
        for (int64_t block = 0; block < blocks(m); block++) {
            const Block b = block_at(m, block);
            int r = 0;
            if (m->wide) {
                for (; r + TOGETHER <= rows; r += TOGETHER) score_some_64(m, b, positions + r, TILE, sums + r);
                for (; r < rows; r++) score_one_64(m, b, positions + r, TILE, sums + r);
            } else {
                for (; r + TOGETHER <= rows; r += TOGETHER) score_some_32(m, b, positions + r, TILE, sums + r);
                for (; r < rows; r++) score_one_32(m, b, positions + r, TILE, sums + r);
            }
        }
        for (int r = 0; r < rows; r++) scores[from + r] = transformed(m, sums[r]);
    }
}
