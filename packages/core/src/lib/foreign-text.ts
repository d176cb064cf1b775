// Controls (C0, DEL, C1: some terminals act upon U+009B as upon ESC [), format characters (which turn the direction of
// what follows, or hide it), line and paragraph separators.
const UNSHOWABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu

/**
 * Text that somebody else wrote, as it may stand in a log, an Event or on a terminal: what would move, hide or reverse
 * the text around it is written as an escape.
 */
export const showable = (text: string): string => text.replaceAll(UNSHOWABLE, escape)

/** The same in double quotes, as JSON has it. */
export const quoted = (text: string): string => showable(JSON.stringify(text))

function escape(character: string): string {
  const hex = (character.codePointAt(0) ?? 0).toString(16)
  return hex.length > 4 ? `\\u{${hex}}` : `\\u${hex.padStart(4, '0')}`
}
