import { placeOfElement } from './place-of';

const XML = `<?xml version='1.0'?>
<domain type='kvm'>
  <!-- <numatune/> -->
  <memory unit='MiB'>64</memory>
  <numatune>
    <memory mode='strict' nodeset='0'/>
  </numatune>
</domain>
`;

it.each([
  [['numatune/memory', 'memory'], { line: 6, column: 5 }],
  [['cputune', 'memory'], { line: 4, column: 3 }],
  [['cputune'], { line: 2, column: 1 }],
])('%j stands at %j', (paths, place) => {
  expect(placeOfElement(XML, paths)).toEqual(place);
});

it('looks below <domstatus>, and takes line 1 of what is no document', () => {
  const status = `<domstatus state='running'>\n${XML.split('\n').slice(1).join('\n')}</domstatus>`;
  expect(placeOfElement(status, ['memory'])).toEqual({ line: 4, column: 3 });
  expect(placeOfElement('no XML', ['memory'])).toEqual({ line: 1, column: 1 });
});
