/* Windowed aggregates in one sweep over time: rows come and go, and at each point the aggregate of the rows that are there is written down.
 *
 * Rows and points are numbers of one clock (rows/numbering.py), in which a later entity's numbers are all higher: one sweep serves all
 * entities, since the last row of one has left before the first point of the next. sweep_c.py checked every length, place and group and
 * keeps the memory; numbers in a wrong order would give wrong answers, but no access outside the arrays.
 *
 * Sums are whole numbers: what came in leaves without a trace. All floating-point operations, and their order, are those of deviation.py
 * and sweep_numpy.py, which give the same bits.
 */
#include <math.h>
#include <stdint.h>

#define INLINE static inline __attribute__((always_inline))

typedef unsigned __int128 wide;

/* As in sweep_c.py. */
typedef struct {
    int64_t rows;
    int64_t points;
    const int64_t *come;    /* [rows] ascending: from here on a row counts */
    const int64_t *leave;   /* [rows] each after its come: from here on it does not */
    const int64_t *leaving; /* [rows] the order in which they leave; NULL: as they came */
    const int64_t *at;      /* [points] ascending */
    const int64_t *place;   /* [points] where a point's answer goes; NULL: in order */
} Sweep;

static const double SCALE = 1000000.0, TWO_64 = 18446744073709551616.0;

/* Which Sweep and which calls these are: the caller goes elsewhere when it knows others. To be raised with every change of either. */
int64_t leverframe_sweep_interface(void) { return 1; }

/* The first index from `from` on whose number is above `limit`, in steps that double: near in little time, far in a logarithm of it. */
INLINE int64_t first_above(const int64_t *numbers, int64_t from, int64_t count, int64_t limit) {
    int64_t step = 1, low = from, high = from;
    while (high < count && numbers[high] <= limit) {
        low = high + 1;
        high += step;
        step *= 2;
    }
    if (high > count) high = count;
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        if (numbers[middle] <= limit)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* counts [points]: how many of the ascending numbers [rows] are at or before each of the ascending points. */
void leverframe_sweep_before(const int64_t *numbers, int64_t rows, const int64_t *at, int64_t points, int64_t *counts) {
    int64_t i = 0;
    for (int64_t p = 0; p < points; p++) counts[p] = i = first_above(numbers, i, rows, at[p]);
}

/* How far a sweep has come: rows before `came` have come; `gone` of them, in the order of leaving, have left. */
typedef struct {
    int64_t came, gone;
} Progress;

/* Where rows leave as they came, and the next one to come has left already, so have all before it: the sweep starts again behind them.
 * That bounds a sweep by the rows around its points, however long the time between these. */
INLINE int starts_again(const Sweep *s, Progress *is, int64_t at) {
    if (s->leaving || is->came == s->rows || s->leave[is->came] > at) return 0;
    is->came = is->gone = first_above(s->leave, is->came, s->rows, at);
    return 1;
}

/* What is added up of the rows that are there. */
typedef struct {
    int64_t rows, n, total;
    wide squares;
} Sums;

INLINE void add(Sums *sums, const int64_t *whole, const uint8_t *there, int squares, int64_t row, int64_t sign) {
    sums->rows += sign;
    if (there && !there[row]) return;
    sums->n += sign;
    if (!whole) return;
    /* Unsigned, because a running total may wrap around on the way; what is there at a point never does. */
    sums->total = (int64_t)((uint64_t)sums->total + (uint64_t)(sign * whole[row]));
    if (squares) sums->squares += (wide)((__int128)whole[row] * whole[row] * sign);
}

/* See deviation.py. */
INLINE double deviation(const Sums *sums) {
    const int64_t n = sums->n;
    if (n < 2) return NAN;
    int64_t floor = sums->total / n, rest = sums->total - floor * n;
    if (rest < 0) floor -= 1, rest += n;
    const wide spread = sums->squares - (wide)((__int128)floor * (sums->total + rest));
    const double about = (double)(uint64_t)(spread >> 64) * TWO_64 + (double)(uint64_t)spread, left = (double)rest;
    return sqrt((about - left * left / (double)n) / (double)(n - 1)) / SCALE;
}

INLINE void sweep_sums(const Sweep *s, const int64_t *whole, const uint8_t *there, double *const *out, int squares) {
    double *count = out[0], *share = out[1], *sum = out[2], *mean = out[3], *std = out[4];
    Sums sums = {0};
    Progress is = {0};
    for (int64_t p = 0; p < s->points; p++) {
        const int64_t at = s->at[p], place = s->place ? s->place[p] : p;
        if (starts_again(s, &is, at)) sums = (Sums){0};
        while (is.came < s->rows && s->come[is.came] <= at) add(&sums, whole, there, squares, is.came++, 1);
        while (is.gone < is.came) {
            const int64_t row = s->leaving ? s->leaving[is.gone] : is.gone;
            if (s->leave[row] > at) break;
            add(&sums, whole, there, squares, row, -1);
            is.gone++;
        }
        if (count) count[place] = (double)sums.n;
        if (share) share[place] = sums.rows > 0 ? (double)sums.n / (double)sums.rows : NAN;
        if (sum) sum[place] = (double)sums.total / SCALE;
        if (mean) mean[place] = sums.n > 0 ? (double)sums.total / SCALE / (double)sums.n : NAN;
        if (std) std[place] = deviation(&sums);
    }
}

/* Into each of out[5] that is not NULL: count, share, sum, mean and standard deviation of the rows at each point.
 * whole [rows]: millionths, or NULL where nothing is summed. there [rows]: which rows have a value, NULL: all. */
void leverframe_sweep_sums(const Sweep *s, const int64_t *whole, const uint8_t *there, double *const *out) {
    if (out[4])
        sweep_sums(s, whole, there, out, 1);
    else
        sweep_sums(s, whole, there, out, 0);
}

/* Rows leave as they came. `held` keeps those that no later one outranks: ranks fall from its first to its last. */
static void greatest_in_order(const Sweep *s, const double *rank, const double *given, double *out, int64_t *held) {
    Progress is = {0};
    int64_t first = 0, end = 0;
    for (int64_t p = 0; p < s->points; p++) {
        const int64_t at = s->at[p];
        if (starts_again(s, &is, at)) first = end = 0;
        for (; is.came < s->rows && s->come[is.came] <= at; is.came++) {
            while (end > first && rank[held[end - 1]] <= rank[is.came]) end--;
            held[end++] = is.came;
        }
        while (first < end && s->leave[held[first]] <= at) first++;
        out[s->place ? s->place[p] : p] = first < end ? given[held[first]] : NAN;
    }
}

/* Rows leave in any order. `held` is a heap by rank, of which those that have left are taken off when they come to its top. */
static void greatest_by_heap(const Sweep *s, const double *rank, const double *given, double *out, int64_t *held) {
    int64_t came = 0, size = 0;
    for (int64_t p = 0; p < s->points; p++) {
        const int64_t at = s->at[p];
        for (; came < s->rows && s->come[came] <= at; came++) {
            int64_t hole = size++;
            for (int64_t above; hole && rank[held[above = (hole - 1) / 2]] < rank[came]; hole = above) held[hole] = held[above];
            held[hole] = came;
        }
        while (size && s->leave[held[0]] <= at) {
            const int64_t last = held[--size];
            int64_t hole = 0;
            for (int64_t below; (below = 2 * hole + 1) < size; hole = below) {
                if (below + 1 < size && rank[held[below + 1]] > rank[held[below]]) below++;
                if (rank[held[below]] <= rank[last]) break;
                held[hole] = held[below];
            }
            held[hole] = last;
        }
        out[s->place ? s->place[p] : p] = size ? given[held[0]] : NAN;
    }
}

/* out: what the row of the highest rank gives; NaN without rows. rank and given [rows]; held [rows]: room to work in. */
void leverframe_sweep_greatest(const Sweep *s, const double *rank, const double *given, double *out, int64_t *held) {
    (s->leaving ? greatest_by_heap : greatest_in_order)(s, rank, given, out, held);
}

/* out: how many different groups the rows at each point have. group [rows]; held: a zero for each group. */
void leverframe_sweep_distinct(const Sweep *s, const int64_t *group, double *out, int64_t *held) {
    int64_t came = 0, gone = 0, groups = 0;
    for (int64_t p = 0; p < s->points; p++) {
        const int64_t at = s->at[p];
        for (; came < s->rows && s->come[came] <= at; came++) groups += held[group[came]]++ == 0;
        for (; gone < came; gone++) {
            const int64_t row = s->leaving ? s->leaving[gone] : gone;
            if (s->leave[row] > at) break;
            groups -= --held[group[row]] == 0;
        }
        out[s->place ? s->place[p] : p] = (double)groups;
    }
}
