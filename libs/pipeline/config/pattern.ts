import { RE2JS } from 're2js';

/**
 * A regular expression out of a configuration, in linear time whatever the text (RE2; Java's syntax without look-around and
 * back-references). Throws an `Error` that says what is wrong.
 */
export function compilePattern(text: string): RE2JS {
  try {
    return RE2JS.compile(text);
  } catch (error) {
    const why = (error as Error).message.replace(/^error parsing regexp: /, '');
    const hint = /\(\?(?:=|!|<=|<!)|\\[1-9]/.test(text) ? '; look-around and back-references are not supported' : '';
    throw new Error(`Not a regular expression: ${why}${hint}`);
  }
}

/** Whether the whole text matches, for each of many texts. */
export function wholeMatch(pattern: string): (text: string) => boolean {
  const compiled = compilePattern(pattern);
  return (text) => compiled.matches(text);
}
