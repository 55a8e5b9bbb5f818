import { applyWaivers, isDay, type Waiver } from './waivers';

const waiver: Waiver = {
  rule: 'remote-share',
  guest: 'a',
  reason: 'moves soon',
  expires: '2027-03-31',
};
const finding = { rule: 'ZW004', host: 'kvm1', guest: 'a' };

it.each([
  ['2027-03-30', 0, 'applied'],
  ['2027-03-31', 0, 'applied'],
  ['2027-04-01', -1, 'expired'],
])('on %s a waiver until 2027-03-31 is number %i: %s', (today, index, state) => {
  const { waivedBy, states } = applyWaivers([waiver], [finding], today);
  expect([waivedBy, states]).toEqual([[index], [state]]);
});

it.each([
  ['another rule', { ...waiver, rule: 'ZW005' }],
  ['another guest', { ...waiver, guest: 'b' }],
  ['another host', { ...waiver, host: 'kvm2' }],
])('of %s it waives nothing', (_what, other) => {
  expect(applyWaivers([other], [finding], '2027-01-01').states).toEqual(['unused']);
});

it.each([
  ['2027-02-28', true],
  ['2028-02-29', true],
  ['2027-02-29', false],
  ['2027-13-01', false],
  ['27-1-1', false],
])('%s is a day: %s', (text, expected) => {
  expect(isDay(text)).toBe(expected);
});
