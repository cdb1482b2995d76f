// Numbers as people say them, in the browser's language and time zone. Times come in unix seconds.

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const day = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const dayAndTime = new Intl.DateTimeFormat(undefined, {
  weekday: "short", day: "numeric", month: "short", hour: "numeric", minute: "2-digit",
});
const hourAndMinute = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });
const dayOfYear = new Intl.DateTimeFormat(undefined, { dateStyle: "long" });
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });

const date = (seconds) => new Date(seconds * 1000);

/** 14:03:22 */
export const timeOfDay = (seconds) => clock.format(date(seconds));

/** For machines: what a <time> element wants. */
export const isoTime = (seconds) => date(seconds).toISOString();

/** The same text for all of one day here, ordered as the days are. */
export function dayKey(seconds) {
  const then = date(seconds);
  const two = (number) => String(number).padStart(2, "0");
  return `${then.getFullYear()}-${two(then.getMonth() + 1)}-${two(then.getDate())}`;
}

/** Today, yesterday, Tuesday 12 May, 12 May 2025 */
export function dayName(seconds) {
  const then = date(seconds);
  const now = new Date();
  const midnight = (moment) => Date.UTC(moment.getFullYear(), moment.getMonth(), moment.getDate());
  const days = Math.round((midnight(then) - midnight(now)) / 86_400_000);
  if (days === 0 || days === -1) return capitalised(relative.format(days, "day"));
  return then.getFullYear() === now.getFullYear() ? day.format(then) : dayOfYear.format(then);
}

/** 14:03 of today, else with its day: Tue, 12 May, 14:03 */
export function moment(seconds) {
  const isToday = dayKey(seconds) === dayKey(Date.now() / 1000);
  return (isToday ? hourAndMinute : dayAndTime).format(date(seconds));
}

/** 0:07, 12:34, 1:02:03 */
export function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  const two = (number) => String(number).padStart(2, "0");
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

/** 512 B, 34 kB, 1.2 MB */
export function size(bytes) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  const step = bytes < 1000 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(bytes) / 3));
  const number = bytes / 1000 ** step;
  return `${number >= 10 || step === 0 ? Math.round(number) : number.toFixed(1)} ${units[step]}`;
}

/** 1 segment, 3 segments */
export const count = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;

export const capitalised = (text) => text.charAt(0).toUpperCase() + text.slice(1);
