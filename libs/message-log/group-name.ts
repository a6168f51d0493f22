/** Brokers take fewer characters in the name of a group than we do in the name of a connector. */
export function groupName(group: string): string {
  return group
    .replace(/[^A-Za-z0-9_%|-]/gu, (character) => [...Buffer.from(character)].map((byte) => `%${byte.toString(16)}`).join(''))
    .slice(0, 120);
}
