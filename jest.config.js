/** @type {import('jest').Config} */
module.exports = {
  testEnvironment: 'node',
  roots: ['<rootDir>/apps', '<rootDir>/libs', '<rootDir>/migrations', '<rootDir>/test'],
  testMatch: ['**/*.spec.ts'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      {
        sourceMaps: 'inline',
        jsc: {
          parser: { syntax: 'typescript', decorators: true },
          transform: { legacyDecorator: true, decoratorMetadata: true },
          target: 'es2022',
          keepClassNames: true,
        },
        module: { type: 'commonjs' },
      },
    ],
  },
  moduleNameMapper: {
    '^@zonewise/(simulator|advisor|libvirt-xml|host-facts|placement|plan|replay-threads)$':
      '<rootDir>/libs/$1/src/index.ts',
  },
  testTimeout: 60000,
  // By default jest leaves a processor to itself, which is half of a machine with two.
  maxWorkers: '100%',
  // The simulator asks for Math at every page; without this each look goes through the sandbox.
  sandboxInjectedGlobals: ['Math'],
};
