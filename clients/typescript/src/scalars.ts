// The scalars of the API as types of text: exact, and told apart by the compiler.

/** A decimal number with all its digits: "1250.00". */
export type Decimal = `${number}`;
/** An integer of 64 bits: "9007199254740993". */
export type Long = `${bigint}`;
/** A day: "2026-11-30". */
export type Day = `${number}-${number}-${number}`;
/** A point in time: "2026-11-30T09:00:00Z". */
export type DateTime = `${number}-${number}-${number}T${string}`;

const DECIMAL = /^-?\d+(\.\d+)?$/;
const LONG = /^-?\d+$/;
const DAY = /^\d{4}-\d\d-\d\d$/;

/** Returns text as a decimal. Throws a TypeError if it is none; a number is none, as it may have lost digits. */
export function decimal(text: string): Decimal {
  if (typeof text !== "string" || !DECIMAL.test(text)) throw new TypeError(`not a decimal: ${text}`);
  return text as Decimal;
}

/** Returns an integer of 64 bits, from text or a bigint. Throws a TypeError or RangeError if it is none. */
export function long(value: string | bigint): Long {
  const text = String(value);
  if (typeof value === "number" || !LONG.test(text)) throw new TypeError(`not an integer: ${text}`);
  if (BigInt.asIntN(64, BigInt(text)) !== BigInt(text)) throw new RangeError(`more than 64 bits: ${text}`);
  return text as Long;
}

/** Returns text, or the day in UTC of a point in time, as a day. Throws a TypeError if it is none. */
export function day(value: string | globalThis.Date): Day {
  const text = typeof value === "string" ? value : value.toISOString().slice(0, 10);
  if (!DAY.test(text) || Number.isNaN(Date.parse(text))) throw new TypeError(`not a day: ${text}`);
  return text as Day;
}

/** Returns a point in time as the API has it. Throws a RangeError if it is invalid. */
export function dateTime(value: globalThis.Date): DateTime {
  return value.toISOString() as DateTime;
}
