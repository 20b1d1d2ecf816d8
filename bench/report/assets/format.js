// How numbers are written: counts are integers, and a percentage is cut off, never rounded up to a
// target that it did not reach.

const ABSENT = "—";

const format = {
  /** A count with groups of three digits: 7,924. */
  count: (value) => String(value).replace(/\B(?=(\d{3})+$)/g, ","),

  /** A share of images in per cent, cut off to so many decimals: 9,939.9 of 10,000 is 99.39 %. */
  percent(correct, images, decimals = 2) {
    const scale = 10 ** decimals;
    return `${(Math.floor((correct * 100 * scale) / images) / scale).toFixed(decimals)}\u00a0%`;
  },

  /** A proportion in per cent with the decimals it needs, at most four: a label of an axis. */
  proportion: (value) => `${Number((100 * value).toFixed(4))}\u00a0%`,

  /** A logarithm cut off to three decimals, so that none is shown at a threshold it did not reach. */
  logarithm: (value) => (Math.floor(value * 1000) / 1000).toFixed(3).replace("-", "−"),

  /** A loss in nats. */
  loss: (value) => value.toPrecision(3),

  /** A duration as the rest of the page writes it. */
  seconds(value) {
    const whole = Math.round(value);
    if (whole < 60) return `${whole} s`;
    const minutes = Math.floor(whole / 60);
    if (minutes < 60) return whole % 60 ? `${minutes} min ${whole % 60} s` : `${minutes} min`;
    return minutes % 60 ? `${Math.floor(minutes / 60)} h ${minutes % 60} min` : `${minutes / 60} h`;
  },
};
